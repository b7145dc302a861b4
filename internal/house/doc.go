// Package house holds the tests that keep the house rules: import direction, package comments, file sizes, clean texts.
package house
