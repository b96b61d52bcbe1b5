module github.com/igor-php/igor/tests/container

go 1.25
