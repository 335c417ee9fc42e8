module retinue.invalid/bench/load

go 1.22
