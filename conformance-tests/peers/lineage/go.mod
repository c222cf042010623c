module proconsul.test/peers/lineage

go 1.26

require golang.org/x/mod v0.37.0
