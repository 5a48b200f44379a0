module example.com/dukcapil-decoders

go 1.19
