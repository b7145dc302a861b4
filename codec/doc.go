// Package codec holds the knowledge of encodings: names, clock rates, static payload types, and how their format parameters are
// written and compared.
package codec
