module dukcapilfrsim

go 1.19
