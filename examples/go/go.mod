module example.com/dukcapil-client

go 1.19
