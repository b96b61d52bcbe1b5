module github.com/igor-php/igor/tests/counts

go 1.25

require github.com/igor-php/igor/tests/e2e v0.0.0

replace github.com/igor-php/igor/tests/e2e => ../e2e
