// Package house holds the tests that keep the house rules: import direction, package comments, clean texts, scripts that run.
package house
