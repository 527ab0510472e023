// Go's net/http as a client of the matrix: `client KIND`, KIND is h1 or h2. See ../README.md.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

type task struct {
	Base  string
	Cases []struct {
		Method, Target  string
		Headers         [][2]string
		Body            *int
		Chunked, Expect bool
	}
}

type answer struct {
	Error   string              `json:"error,omitempty"`
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers"`
	Length  int                 `json:"length"`
	Sum     string              `json:"sha256"`
	Text    string              `json:"text"`
}

func main() {
	var task task
	json.NewDecoder(os.Stdin).Decode(&task)
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:     os.Args[1] == "h2",
		DisableCompression:    true,
		ExpectContinueTimeout: 5 * time.Second,
	}
	client := &http.Client{
		Transport: transport,
		Timeout:   20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	answers := []answer{}
	for _, it := range task.Cases {
		var body io.Reader
		if it.Body != nil {
			content := make([]byte, *it.Body)
			for n := range content {
				content[n] = byte(n % 251)
			}
			body = bytes.NewReader(content)
			if it.Chunked {
				body = io.MultiReader(body)
			}
		}
		request, err := http.NewRequest(it.Method, task.Base+it.Target, body)
		if err != nil {
			answers = append(answers, answer{Error: err.Error()})
			continue
		}
		request.Header.Set("user-agent", "matrix")
		request.Header.Set("accept-encoding", "identity")
		if it.Body != nil {
			request.Header.Set("content-type", "application/octet-stream")
		}
		for _, pair := range it.Headers {
			if strings.HasPrefix(pair[0], "x-") {
				request.Header.Add(pair[0], pair[1])
			} else {
				request.Header.Set(pair[0], pair[1])
			}
		}
		if it.Expect {
			request.Header.Set("expect", "100-continue")
		}
		answers = append(answers, send(client, request))
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}

func send(client *http.Client, request *http.Request) answer {
	response, err := client.Do(request)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{Error: err.Error()}
	}
	headers := map[string][]string{}
	for name, values := range response.Header {
		headers[strings.ToLower(name)] = values
	}
	sum := sha256.Sum256(content)
	told := answer{
		Status: response.StatusCode, Headers: headers,
		Length: len(content), Sum: hex.EncodeToString(sum[:]),
	}
	if len(content) < 10000 {
		told.Text = string(content)
	}
	return told
}
