// Identifies the person in a picture with the Dukcapil face recognition 1:N endpoint. Needs Go 1.19 and only its standard library.
//
//	go run . --url http://127.0.0.1:8080 --customer demo --image siti.jpg --public-key public.pem
//
// Exit status: 0 answered with 6018, 1 with another code, 2 no valid answer, 64 not sent (invalid arguments or files).
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"
)

const (
	success = "6018"
	busy    = "6014"

	// The score is -log10 of the false accept rate, 0 to 20. Among 285 million people 285e6 * 10^-score strangers reach a
	// score: 28 reach 7, 0.03 reach 10. A best candidate above the threshold is therefore not yet "found".
	sure = 10.0
)

type options struct {
	url, customer, image, publicKey, user, password, ip string
	threshold, timeout, backoff                         float64
	retries                                             int
}

func parse() options {
	var o options
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.StringVar(&o.url, "url", "", "where the endpoint is")
	flags.StringVar(&o.customer, "customer", "", "customer_id")
	flags.StringVar(&o.image, "image", "", "a jpg or png")
	flags.StringVar(&o.publicKey, "public-key", "", "a PEM file")
	flags.StringVar(&o.user, "user", "demo-user", "")
	flags.StringVar(&o.password, "password", "demo-password", "")
	flags.Float64Var(&o.threshold, "threshold", 7, "1 to 20")
	flags.StringVar(&o.ip, "ip", "127.0.0.1", "your own registered address, not the endpoint's; any other is rejected with 5003")
	flags.Float64Var(&o.timeout, "timeout", 30, "seconds; the real matcher is slow: 30 to 60 are usual")
	flags.IntVar(&o.retries, "retries", 2, "")
	flags.Float64Var(&o.backoff, "backoff", 1, "seconds")
	if flags.Parse(os.Args[1:]) != nil {
		os.Exit(64)
	}
	if flags.NArg() > 0 {
		notAsked(fmt.Errorf("there is no option %s", flags.Arg(0)))
	}
	if o.url == "" || o.customer == "" || o.image == "" || o.publicKey == "" {
		notAsked(errors.New("--url, --customer, --image and --public-key are needed"))
	}
	return o
}

func notAsked(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(64)
}

func readKey(path string) (*rsa.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM", path)
	}
	// BEGIN PUBLIC KEY is SPKI; ParsePKCS1PublicKey is for BEGIN RSA PUBLIC KEY.
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	rsaKey, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an RSA key", path)
	}
	return rsaKey, nil
}

// encrypted pads with PKCS#1 v1.5, as PHP's openssl_public_encrypt does; EncryptOAEP is answered with 5006.
func encrypted(plain string, key *rsa.PublicKey) (string, error) {
	ciphertext, err := rsa.EncryptPKCS1v15(rand.Reader, key, []byte(plain))
	return base64.StdEncoding.EncodeToString(ciphertext), err // not URLEncoding, not Raw: padded
}

type request struct {
	TransactionID     string  `json:"transactionId"`
	TransactionSource string  `json:"transactionSource"`
	Threshold         float64 `json:"threshold"` // a number, as the document's table says; its sample sends a string: both are accepted
	Image             []byte  `json:"image"`     // encoding/json writes []byte as base64
	UserID            string  `json:"user_id"`
	Password          string  `json:"password"`
	IP                string  `json:"ip"`
}

func body(o options, key *rsa.PublicKey, image []byte, transaction string) ([]byte, error) {
	user, err := encrypted(o.user, key)
	if err != nil {
		return nil, err
	}
	password, err := encrypted(o.password, key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(request{transaction, "go", o.threshold, image, user, password, o.ip})
}

// noAnswer means no answer, or one that is not from the endpoint.
type noAnswer struct {
	error
	again bool
}

// answer has the needed fields of both shapes. error is a string in one and an object in the other, so declaring it as
// either makes the decoder fail on half of the codes.
type answer struct {
	Error     json.RawMessage `json:"error"`
	ErrorCode string          `json:"errorCode"`
	Response  string          `json:"response"`
}

// exchange sends one request. The client's Timeout covers the whole call, body included. Go itself retries a POST only when
// nothing of it was written, because a kept connection had been closed.
func exchange(client *http.Client, o options, body []byte) (answer, error) {
	var a answer
	url := fmt.Sprintf("%s/api/face-recognition/%s/CALL_FN", o.url, o.customer)
	post, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return a, noAnswer{err, false}
	}
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("Accept", "application/json")
	response, err := client.Do(post)
	if err != nil {
		return a, noAnswer{err, true}
	}
	defer response.Body.Close()
	// Rejections have status 200. Any other status, and its body, come from a proxy or gateway.
	if response.StatusCode != http.StatusOK {
		return a, noAnswer{fmt.Errorf("HTTP status %d", response.StatusCode), response.StatusCode >= 500}
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return a, noAnswer{fmt.Errorf("reading the body: %w", err), true}
	}
	if err := json.Unmarshal(content, &a); err != nil {
		return a, noAnswer{fmt.Errorf("bad JSON: %w", err), true}
	}
	if a.Error == nil {
		return a, noAnswer{errors.New("JSON, but no answer of the endpoint"), true}
	}
	return a, nil
}

// outcome reads the code and the message from both answer shapes.
func outcome(a answer) (code, message string) {
	var nested struct {
		ErrorCode    json.Number `json:"errorCode"`
		ErrorMessage string      `json:"errorMessage"`
	}
	if json.Unmarshal(a.Error, &nested) == nil { // 5001 and 5005: nested, the code a number, and all else strings
		code, message = nested.ErrorCode.String(), nested.ErrorMessage
	} else { // all others: flat, the code a string
		code = a.ErrorCode
		_ = json.Unmarshal(a.Error, &message)
	}
	return code, strings.TrimSpace(message) // some messages have surrounding spaces
}

type candidate struct {
	nik   string
	score float64
}

// candidates returns all candidates, best first.
func candidates(a answer) ([]candidate, error) {
	// JSON inside a string. 5004 has no "response", so it is read only after 6018.
	var response struct {
		Face struct {
			Scores map[string]float64 `json:"FACE_T5"`
		} `json:"face"`
	}
	if err := json.Unmarshal([]byte(a.Response), &response); err != nil {
		return nil, noAnswer{fmt.Errorf("bad response: %w", err), true}
	}
	if response.Face.Scores == nil {
		return nil, noAnswer{errors.New("bad response: no FACE_T5"), true}
	}
	var found []candidate
	for nik, score := range response.Face.Scores { // a map has no order, so sort
		found = append(found, candidate{strings.TrimSpace(nik), score})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].score > found[j].score })
	return found, nil
}

// try sends one request and returns its answer.
func try(client *http.Client, o options, body []byte) (code, message string, found []candidate, err error) {
	a, err := exchange(client, o, body)
	if err != nil {
		return "", "", nil, err
	}
	code, message = outcome(a)
	if code == success {
		found, err = candidates(a)
	}
	return code, message, found, err
}

// identify sends requests until the answer is final or the retries are used up.
func identify(o options, key *rsa.PublicKey, image []byte) (code, message string, found []candidate, err error) {
	client := &http.Client{Timeout: time.Duration(o.timeout * float64(time.Second))} // the default is none
	// One id for all tries, at most 20 characters: a try whose answer was lost may have been charged, and this id is how
	// you and the operator find out. Each try encrypts again, because the padding is random.
	id := make([]byte, 10)
	if _, err := rand.Read(id); err != nil {
		return "", "", nil, err
	}
	for attempt := 0; ; attempt++ {
		var content []byte
		content, err = body(o, key, image, hex.EncodeToString(id))
		if err != nil {
			return "", "", nil, err
		}
		code, message, found, err = try(client, o, content)
		var failure noAnswer
		// Retries only 6014 (busy). A wrong account, quota, address or parameter stays wrong.
		again := code == busy || errors.As(err, &failure) && failure.again
		if !again || attempt >= o.retries {
			return code, message, found, err
		}
		words := fmt.Sprint(code, " ", message)
		if err != nil {
			words = err.Error()
		}
		// Exponential backoff with jitter, so that many clients do not retry at the same time.
		pause := o.backoff * float64(int(1)<<attempt) * (0.5 + mathrand.Float64())
		fmt.Fprintf(os.Stderr, "try %d: %s; again in %.1f s\n", attempt+1, words, pause)
		time.Sleep(time.Duration(pause * float64(time.Second)))
	}
}

func verdict(found []candidate) string {
	certain := 0
	for _, c := range found {
		if c.score >= sure {
			certain++
		}
	}
	switch {
	case len(found) == 0:
		return "none"
	case certain == 1:
		return "found"
	default: // two nearly certain candidates are look-alikes, twins, or one person registered twice: a human decides
		return "unsure"
	}
}

func main() {
	mathrand.Seed(time.Now().UnixNano()) // before Go 1.20 the jitter would be the same in every process
	o := parse()
	key, err := readKey(o.publicKey)
	if err != nil {
		notAsked(err)
	}
	image, err := os.ReadFile(o.image)
	if err != nil {
		notAsked(err)
	}
	code, message, found, err := identify(o, key, image)
	if err != nil {
		fmt.Printf("%v\nfailed\n", err)
		os.Exit(2)
	}
	if code != success {
		fmt.Printf("%s\t%s\nrefused\n", code, message)
		os.Exit(1)
	}
	for _, c := range found {
		fmt.Printf("%s\t%.2f\n", c.nik, c.score)
	}
	fmt.Println(verdict(found))
}
