// The application in Go's net/http: `app PORT`.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func large() []byte {
	bytes := make([]byte, 1<<20)
	for n := range bytes {
		bytes[n] = byte(n % 251)
	}
	return bytes
}

func gzipped() []byte {
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	writer.Write([]byte(strings.Repeat("gzip\n", 100)))
	writer.Close()
	return out.Bytes()
}

func echo(answer http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	headers := map[string][]string{"host": {request.Host}}
	for name, values := range request.Header {
		headers[strings.ToLower(name)] = values
	}
	if request.ContentLength >= 0 && len(request.TransferEncoding) == 0 && request.Header.Get("Content-Length") != "" {
		headers["content-length"] = []string{fmt.Sprint(request.ContentLength)}
	}
	sum := sha256.Sum256(body)
	told := map[string]any{
		"method": request.Method, "target": request.RequestURI, "headers": headers,
		"length": len(body), "sha256": hex.EncodeToString(sum[:]),
	}
	text, _ := json.Marshal(told)
	answer.Header().Set("content-type", "application/json")
	answer.Write(text)
}

func main() {
	large, gzipped := large(), gzipped()
	plain := func(answer http.ResponseWriter, status int, body string) {
		answer.Header().Set("content-type", "text/plain")
		answer.WriteHeader(status)
		io.WriteString(answer, body)
	}
	serve := func(answer http.ResponseWriter, request *http.Request) {
		switch strings.Split(request.RequestURI, "?")[0] {
		case "/small.txt":
			plain(answer, 200, "small\n")
		case "/large.bin":
			answer.Header().Set("content-type", "application/octet-stream")
			answer.Write(large)
		case "/echo":
			echo(answer, request)
		case "/cookies":
			answer.Header().Add("set-cookie", "a=1; Path=/")
			answer.Header().Add("set-cookie", "b=2; Path=/")
			plain(answer, 200, "cookies\n")
		case "/stream":
			answer.Header().Set("content-type", "text/plain")
			for n := 0; n < 5; n++ {
				fmt.Fprintf(answer, "piece %d\n", n)
				answer.(http.Flusher).Flush()
			}
		case "/no-content":
			answer.WriteHeader(204)
		case "/early":
			plain(answer, 413, "too large\n")
		case "/redirect":
			answer.Header().Set("location", "/small.txt")
			plain(answer, 302, "elsewhere\n")
		case "/etag":
			answer.Header().Set("etag", "\"v1\"")
			if request.Header.Get("if-none-match") == "\"v1\"" {
				answer.WriteHeader(304)
			} else {
				plain(answer, 200, "tagged\n")
			}
		case "/gzip":
			answer.Header().Set("content-type", "text/plain")
			answer.Header().Set("content-encoding", "gzip")
			answer.Header().Set("vary", "accept-encoding")
			answer.Write(gzipped)
		default:
			plain(answer, 404, "missing\n")
		}
	}
	// No mux: it would redirect paths that it finds unclean.
	http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(serve))
}
