// Package dukcapilfrsim starts dukcapil-fr-sim for Go tests. It is one file, to copy to a directory of its own in your module, such as
// internal/dukcapilfrsim. Standard library only; Go 1.19 or newer.
//
//	var sim *dukcapilfrsim.Simulator
//
//	func TestMain(m *testing.M) { os.Exit(dukcapilfrsim.Run(m, &sim)) }
//
//	func TestBusyIsRetried(t *testing.T) {
//		customer := sim.Customer(t, nil)
//		customer.Rule("busy", dukcapilfrsim.Object{"times": 2, "reply": dukcapilfrsim.Object{"code": "6014"}})
//		...
//		customer.Verify(dukcapilfrsim.Object{"code": "6014"}, dukcapilfrsim.Exactly(2))
//	}
//
// Each test gets its own customer on one simulator per package: its own account, rules, quota, clock, state, people and view of the
// journal, so tests can run in parallel. What fails ends the test, as t.Fatal does; so call it from the test's own goroutine.
//
// The binary is FRSIM_BINARY, or dukcapil-fr-sim on the PATH, or the newest build in a target directory of the working directory, of one
// above it, or of a dukcapil-fr-sim beside it.
//
// A started simulator is ready when it prints a line; then the port file has its addresses. Reading the line needs no polling and ends
// when the process ends. It is stopped by POST /shutdown, which works on every operating system, unlike signals.
package dukcapilfrsim

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	startTimeout    = 60 * time.Second  // a process that is not ready by then is killed
	responseTimeout = 30 * time.Second  // for a response of the admin API
	waitTimeout     = 660 * time.Second // the admin API itself limits a wait to ten minutes
)

// Object is a JSON object.
type Object = map[string]any

// APIError is an error response of the admin API. Path points to the invalid part of the body, Hint says what to do; either may be empty.
type APIError struct {
	Status                    int
	Code, Message, Path, Hint string
	Answer                    Object
}

func (e *APIError) Error() string {
	text := fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
	if e.Path != "" {
		text += " (at " + e.Path + ")"
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Simulator is a client of a running simulator, started here or elsewhere.
type Simulator struct {
	// Endpoint and Admin are the addresses, without a path.
	Endpoint, Admin string
	// Token is the value of --admin-token, or empty.
	Token string

	process   *exec.Cmd
	ended     chan error
	directory string
}

// Run starts a simulator, sets *sim, runs the package's tests and stops it. It returns the exit code, for TestMain. The flags are
// additional flags of serve, such as "--seed", "7".
func Run(m *testing.M, sim **Simulator, flags ...string) int {
	started, err := Start(flags...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*sim = started
	code := m.Run()
	if err := started.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Start starts a simulator on free ports with its own keys. The caller stops it.
func Start(flags ...string) (*Simulator, error) {
	binary, err := findBinary()
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "frsim-")
	if err != nil {
		return nil, err
	}
	sim, err := launch(binary, directory, flags)
	if err != nil {
		os.RemoveAll(directory)
	}
	return sim, err
}

func launch(binary, directory string, flags []string) (*Simulator, error) {
	in := func(name string) string { return filepath.Join(directory, name) }
	args := []string{"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--keys", in("keys"), "--port-file", in("ports")}
	// Otherwise it would load a fixtures directory of the project under test.
	if os.Getenv("FRSIM_FIXTURES") == "" && !contains(flags, "--fixtures") {
		if err := os.Mkdir(in("fixtures"), 0o700); err != nil {
			return nil, err
		}
		args = append(args, "--fixtures", in("fixtures"))
	}
	log, err := os.Create(in("log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	process := exec.Command(binary, append(args, flags...)...)
	process.Stderr = log
	stdout, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	watchdog := time.AfterFunc(startTimeout, func() { process.Process.Kill() })
	// One line, once the port file is written; an error when the process exits first.
	_, unread := bufio.NewReader(stdout).ReadString('\n')
	watchdog.Stop()
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	if unread != nil {
		status := <-ended
		output, _ := os.ReadFile(in("log"))
		return nil, fmt.Errorf("dukcapil-fr-sim did not start (%v): %s", status, bytes.TrimSpace(output))
	}
	text, err := os.ReadFile(in("ports"))
	var ports struct{ Endpoint, Admin string }
	if err == nil {
		err = json.Unmarshal(text, &ports)
	}
	if err != nil {
		process.Process.Kill()
		<-ended
		return nil, err
	}
	return &Simulator{ports.Endpoint, ports.Admin, os.Getenv("FRSIM_ADMIN_TOKEN"), process, ended, directory}, nil
}

// Stop stops it, if it was started here.
func (s *Simulator) Stop() error {
	if s.process == nil {
		return nil
	}
	defer func() {
		os.RemoveAll(s.directory)
		s.process = nil
	}()
	select {
	case <-s.ended: // by itself, or by Ctrl-C
		return nil
	default:
	}
	if _, err := s.Ask("POST", "/shutdown", nil); err != nil {
		s.process.Process.Kill()
		<-s.ended
		return err
	}
	watchdog := time.AfterFunc(startTimeout, func() { s.process.Process.Kill() })
	defer watchdog.Stop()
	return <-s.ended
}

// Ask calls the admin API and returns its JSON response. An error response is an *APIError.
func (s *Simulator) Ask(method, path string, body any) (Object, error) {
	return s.ask(method, path, body, responseTimeout)
}

func (s *Simulator) ask(method, path string, body any, timeout time.Duration) (Object, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequest(method, s.Admin+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if s.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.Token)
	}
	// Ignores proxies from the environment. A connection of its own for each call: one that is kept may be closed when it is used again.
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer Object
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s %s: status %d, not JSON: %w", method, path, response.StatusCode, err)
	}
	if response.StatusCode < 300 {
		return answer, nil
	}
	failed := &APIError{Status: response.StatusCode, Answer: answer}
	details, _ := answer["error"].(Object)
	failed.Code, _ = details["code"].(string)
	failed.Message, _ = details["message"].(string)
	failed.Path, _ = details["path"].(string)
	failed.Hint, _ = details["hint"].(string)
	return nil, failed
}

// Reset resets journal, rules, quota, state, clock, gallery, customers or all, of every customer.
func (s *Simulator) Reset(t testing.TB, scope string) {
	t.Helper()
	s.must(t, "POST", "/reset?"+url.Values{"scope": {scope}}.Encode(), nil)
}

// Clock returns the simulator's clock, after a change as of Customer.Clock unless it is nil. Customers' own clocks stay.
func (s *Simulator) Clock(t testing.TB, change Object) Object {
	t.Helper()
	return s.must(t, readOrChange(change), "/clock", orNil(change))
}

// Customer creates a customer with a generated id and account and no quota, and deletes it after the test. The spec is a customer's
// fixture file as JSON, with a "ttl"; it may be nil.
func (s *Simulator) Customer(t testing.TB, spec Object) *Customer {
	t.Helper()
	body := Object{"ttl": "10m"}
	for key, value := range spec {
		body[key] = value
	}
	view := s.must(t, "POST", "/customers", body)
	account := view["account"].(Object)
	id := view["customer_id"].(string)
	customer := &Customer{
		Simulator:    s,
		ID:           id,
		URL:          s.Endpoint + view["path"].(string),
		UserID:       account["user_id"].(string),
		Password:     account["password"].(string),
		PublicKeyPEM: view["public_key_pem"].(string),
		t:            t,
		path:         "/customers/" + url.PathEscape(id),
	}
	t.Cleanup(customer.Delete)
	return customer
}

func (s *Simulator) must(t testing.TB, method, path string, body any) Object {
	t.Helper()
	answer, err := s.Ask(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// Customer is a customer of the simulator: the URL, account and key for the client under test, and the controls for the test.
type Customer struct {
	Simulator *Simulator
	ID        string
	// URL is the endpoint's URL for this customer.
	URL string
	// UserID and Password are its account.
	UserID, Password string
	// PublicKeyPEM is the key that encrypts the account, SPKI in PEM.
	PublicKeyPEM string

	t    testing.TB
	path string
}

// Delete deletes it with its rules. It does nothing when the customer no longer exists.
func (c *Customer) Delete() {
	c.t.Helper()
	_, err := c.Simulator.Ask("DELETE", c.path, nil)
	var failed *APIError
	if err != nil && !(errors.As(err, &failed) && failed.Status == http.StatusNotFound) {
		c.t.Fatal(err)
	}
}

// Rule creates or replaces a rule, ahead of the fixture rules: Object{"times": 2, "reply": Object{"code": "6014"}}.
func (c *Customer) Rule(name string, spec Object) Object {
	c.t.Helper()
	return c.Simulator.must(c.t, "PUT", c.path+"/rules/"+url.PathEscape(name), spec)
}

// Quota returns today's quota, after setting "per_day" or "used" unless the change is nil.
func (c *Customer) Quota(change Object) Object {
	c.t.Helper()
	return c.Simulator.must(c.t, readOrChange(change), c.path+"/quota", orNil(change))
}

// Clock returns its clock, after {"advance": "25h"}, {"now": "2026-11-21T23:59:00+07:00"}, {"freeze": true} or {"reset": true} unless nil.
func (c *Customer) Clock(change Object) Object {
	c.t.Helper()
	return c.Simulator.must(c.t, readOrChange(change), c.path+"/clock", orNil(change))
}

// State returns the state of its scenario, which rules test with "when": {"state": ...}, after setting it if one is given.
func (c *Customer) State(change ...string) string {
	c.t.Helper()
	method, body := "GET", any(nil)
	if len(change) > 0 {
		method, body = "PUT", Object{"state": change[0]}
	}
	return c.Simulator.must(c.t, method, c.path+"/state", body)["state"].(string)
}

// Enrol enrols a person whom only this customer finds: "nik", "name", "similar", and JPG or PNG files. It returns the person, with NIK.
func (c *Customer) Enrol(person Object, pictures ...[]byte) Object {
	c.t.Helper()
	files := make([]string, len(pictures))
	for i, picture := range pictures {
		files[i] = base64.StdEncoding.EncodeToString(picture)
	}
	body := Object{"customer_id": c.ID, "pictures": files}
	for key, value := range person {
		body[key] = value
	}
	return c.Simulator.must(c.t, "POST", "/gallery", body)
}

// Reset resets its journal, rules, quota, state, clock, gallery, or all of them.
func (c *Customer) Reset(scope string) {
	c.t.Helper()
	c.Simulator.must(c.t, "POST", "/reset?"+url.Values{"scope": {scope}, "customer_id": {c.ID}}.Encode(), nil)
}

// Requests returns its journal entries, newest first; "code", "since", "state" and "limit" filter them. The query may be nil.
func (c *Customer) Requests(query map[string]string) []Object {
	c.t.Helper()
	values := url.Values{"limit": {"10000"}}
	for key, value := range query {
		values.Set(key, value)
	}
	values.Set("customer_id", c.ID)
	return objects(c.Simulator.must(c.t, "GET", "/requests?"+values.Encode(), nil)["requests"])
}

// Count is the number of requests that Verify wants.
type Count Object

// Exactly wants this number.
func Exactly(count int) Count { return Count{"exactly": count} }

// AtLeast wants this number or more.
func AtLeast(count int) Count { return Count{"at_least": count} }

// AtMost wants this number or less.
func AtMost(count int) Count { return Count{"at_most": count} }

// Verify asserts the number of its matching requests and returns it. The failure reports the near misses.
func (c *Customer) Verify(match Object, count Count) int {
	c.t.Helper()
	return int(c.check("/requests/verify", match, Object{"count": count}, responseTimeout)["count"].(float64))
}

// Wait waits for count of its requests, earlier ones included, and returns them, newest first. The test fails after the timeout.
func (c *Customer) Wait(match Object, count int, timeout time.Duration) []Object {
	c.t.Helper()
	more := Object{"count": count, "timeout": strconv.FormatInt(timeout.Milliseconds(), 10) + "ms"}
	return objects(c.check("/requests/wait", match, more, waitTimeout)["requests"])
}

// Explain returns the response that a body would get, and why; it consumes nothing.
func (c *Customer) Explain(body any) Object {
	c.t.Helper()
	return c.Simulator.must(c.t, "POST", "/explain", Object{"customer_id": c.ID, "body": body})
}

func (c *Customer) check(route string, conditions, more Object, timeout time.Duration) Object {
	c.t.Helper()
	match := Object{"customer_id": c.ID}
	for key, value := range conditions {
		match[key] = value
	}
	more["match"] = match
	answer, err := c.Simulator.ask("POST", route, more, timeout)
	var failed *APIError
	if errors.As(err, &failed) && failed.Answer["nearest"] != nil {
		c.t.Fatal(c.failure(match, failed))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

func (c *Customer) failure(match Object, failed *APIError) string {
	lines := []string{}
	numbers, _ := failed.Answer["matched"].([]any)
	for _, number := range numbers {
		lines = append(lines, fmt.Sprintf("  matched  #%s  %s", text(number), c.answer(number)))
	}
	for _, miss := range objects(failed.Answer["nearest"]) {
		differs, _ := miss["differs"].(Object)
		if differs["customer_id"] != nil {
			continue // requests of other tests do not help
		}
		lines = append(lines, fmt.Sprintf("  nearest  #%s  %s", text(miss["id"]), c.answer(miss["id"])))
		fields := make([]string, 0, len(differs))
		for field := range differs {
			fields = append(fields, field)
		}
		sort.Strings(fields)
		for _, field := range fields {
			both := differs[field].(Object)
			lines = append(lines, fmt.Sprintf("           %s: want %s, got %s", field, text(both["want"]), text(both["got"])))
		}
	}
	if len(lines) == 0 {
		lines = append(lines, "  the journal has no requests of "+c.ID)
	}
	return fmt.Sprintf("%s: %s\n%s\n  hint: %s", failed.Message, text(match), strings.Join(lines, "\n"), failed.Hint)
}

func (c *Customer) answer(number any) string {
	entry, err := c.Simulator.Ask("GET", "/requests/"+text(number), nil)
	if err != nil {
		return "no longer in the journal" // which is a ring buffer
	}
	answer, _ := entry["answer"].(Object)
	what, reason := answer["code"], answer["reason"]
	if what == nil {
		what = answer["status"]
	}
	if what == nil {
		what = "no answer"
	}
	if reason == nil {
		reason = "no reason given"
	}
	return fmt.Sprintf("%v: %v", what, reason)
}

func readOrChange(change Object) string {
	if change == nil {
		return "GET"
	}
	return "PUT"
}

// orNil keeps a nil map from becoming the body null.
func orNil(body Object) any {
	if body == nil {
		return nil
	}
	return body
}

func objects(list any) []Object {
	items, _ := list.([]any)
	found := make([]Object, len(items))
	for i, item := range items {
		found[i], _ = item.(Object)
	}
	return found
}

func text(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

func contains(list []string, wanted string) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}

func findBinary() (string, error) {
	if named := os.Getenv("FRSIM_BINARY"); named != "" {
		return named, nil
	}
	name := "dukcapil-fr-sim"
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for directory, below := here, ""; directory != below; directory, below = filepath.Dir(directory), directory {
		newest, at := "", time.Time{}
		for _, project := range []string{"", "dukcapil-fr-sim"} {
			for _, profile := range []string{"release", "debug"} {
				path := filepath.Join(directory, project, "target", profile, name)
				if file, err := os.Stat(path); err == nil && file.Mode().IsRegular() && file.ModTime().After(at) {
					newest, at = path, file.ModTime()
				}
			}
		}
		if newest != "" {
			return newest, nil
		}
	}
	return "", fmt.Errorf("no %s: set FRSIM_BINARY, put it on the PATH, or `cargo build` above %s", name, here)
}
