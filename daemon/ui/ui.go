package ui

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed files
var files embed.FS

// policy lets the page load nothing but what is here, and nobody put it into a frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// NewHandler serves the page below a prefix such as "/ui", and the data it shows, from reader, below that. reader gets the paths
// without the prefix.
func NewHandler(prefix string, reader http.Handler) http.Handler {
	here, err := fs.Sub(files, "files")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	pages := http.StripPrefix(prefix, http.FileServerFS(here))
	mux := http.NewServeMux()
	mux.Handle("GET "+prefix+"/v1/", http.StripPrefix(prefix, reader))
	mux.Handle("GET "+prefix+"/", pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Del("Access-Control-Allow-Origin") // pages of others are not to read who calls whom
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		mux.ServeHTTP(w, r)
	})
}
