package dukcapilfrsim

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// One pixel instead of a photo: these tests are about the other checks.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="

var sim *Simulator

func TestMain(m *testing.M) {
	if os.Getenv("INNER") != "" {
		os.Exit(Run(m, &sim, strings.Fields(os.Getenv("INNER"))...))
	}
	os.Exit(Run(m, &sim))
}

// body returns a valid request of the customer.
func body(t *testing.T, customer *Customer, changed Object) Object {
	t.Helper()
	block, _ := pem.Decode([]byte(customer.PublicKeyPEM))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	encrypt := func(text string) string {
		ciphertext, err := rsa.EncryptPKCS1v15(rand.Reader, key.(*rsa.PublicKey), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(ciphertext)
	}
	fields := Object{
		"transactionId": "T-1", "transactionSource": "go", "threshold": "7", "image": pixel, "ip": "10.0.0.1",
		"user_id": encrypt(customer.UserID), "password": encrypt(customer.Password),
	}
	for key, value := range changed {
		fields[key] = value
	}
	return fields
}

// post posts a request as a client does and returns the code of the response.
func post(t *testing.T, customer *Customer, changed Object) string {
	t.Helper()
	text, _ := json.Marshal(body(t, customer, changed))
	request, _ := http.NewRequest("POST", customer.URL, bytes.NewReader(text))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer Object
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if inner, ok := answer["error"].(Object); ok {
		answer = inner
	}
	return fmt.Sprint(answer["errorCode"])
}

func posts(t *testing.T, customer *Customer, times int) []string {
	t.Helper()
	codes := make([]string, times)
	for i := range codes {
		codes[i] = post(t, customer, nil)
	}
	return codes
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func matches(t *testing.T, got, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(got) {
		t.Fatalf("%q does not match %q", got, pattern)
	}
}

// failing is a test that keeps the message it fails with.
type failing struct {
	*testing.T
	message string
}

func (f *failing) Fatal(args ...any) {
	f.message = fmt.Sprint(args...)
	panic(f)
}

// failure returns the message with which the work fails for the customer's test.
func failure(t *testing.T, customer *Customer, work func(*Customer)) (message string) {
	t.Helper()
	its := *customer
	f := &failing{T: t}
	its.t = f
	defer func() {
		if caught := recover(); caught != nil && caught != any(f) {
			panic(caught)
		}
		message = f.message
	}()
	work(&its)
	t.Fatal("it did not fail")
	return
}

func TestAValidRequestIsAnsweredAndVerified(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	equal(t, post(t, customer, nil), "6018")
	equal(t, customer.Verify(Object{"code": "6018", "transaction_id": "T-*"}, Exactly(1)), 1)
	equal(t, customer.Requests(map[string]string{"code": "6018"})[0]["request"].(Object)["transaction_id"], "T-1")
	equal(t, len(customer.Requests(map[string]string{"code": "5001"})), 0)
}

func TestParallelTestsAreIsolated(t *testing.T) {
	for number := 0; number < 4; number++ {
		number := number
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			t.Parallel()
			customer := sim.Customer(t, Object{"quota": Object{"per_day": number}})
			codes := posts(t, customer, number+2)
			equal(t, codes[number:], []string{"5002", "5002"})
			customer.Verify(Object{"code": "6018"}, Exactly(number))
			equal(t, len(customer.Requests(nil)), number+2)
		})
	}
}

func TestACustomerIsDeletedAfterItsTest(t *testing.T) {
	t.Parallel()
	var id string
	t.Run("inner", func(t *testing.T) {
		customer := sim.Customer(t, nil)
		id = customer.ID
		customer.Delete()
		customer = sim.Customer(t, nil)
		id = customer.ID
	})
	_, err := sim.Ask("GET", "/customers/"+id, nil)
	equal(t, err.(*APIError).Status, 404)
}

func TestARuleScriptsTheNextAnswers(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	customer.Rule("busy twice", Object{"when": Object{"outcome": "6018"}, "times": 2, "reply": Object{"code": "6014"}})
	equal(t, posts(t, customer, 3), []string{"6014", "6014", "6018"})
	equal(t, customer.Requests(nil)[1]["rule"], "busy twice")
}

func TestQuotaIsResetWhenTheClockPassesMidnight(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	customer.Clock(Object{"now": "2026-11-21T23:59:00+07:00"})
	equal(t, customer.Quota(Object{"per_day": 1})["left"], 1.0)
	equal(t, posts(t, customer, 2), []string{"6018", "5002"})
	matches(t, customer.Clock(Object{"advance": "2m"})["now"].(string), "^2026-11-22T00:01:00")
	equal(t, post(t, customer, nil), "6018")
	equal(t, customer.Quota(nil)["used"], 1.0)
	equal(t, customer.Clock(nil)["frozen"], true)
}

func TestAScenarioHasAState(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	customer.Rule("down", Object{"when": Object{"state": "down"}, "reply": Object{"code": "6014"}})
	equal(t, customer.State(), "")
	equal(t, customer.State("down"), "down")
	equal(t, post(t, customer, nil), "6014")
	equal(t, customer.State(""), "")
	equal(t, post(t, customer, nil), "6018")
}

func TestAnEnrolledPersonIsFoundByThisCustomerOnly(t *testing.T) {
	t.Parallel()
	photo, err := os.ReadFile("../../fixtures/gallery/andi.png")
	if err != nil {
		t.Fatal(err)
	}
	customer, other := sim.Customer(t, nil), sim.Customer(t, nil)
	person := customer.Enrol(Object{"nik": "3273010101909777", "name": "Baru"}, photo)
	equal(t, []any{person["nik"], person["name"], person["customer_id"]}, []any{"3273010101909777", "Baru", customer.ID})
	for number, one := range []*Customer{other, customer} {
		equal(t, post(t, one, Object{"image": base64.StdEncoding.EncodeToString(photo)}), "6018")
		candidates := one.Requests(nil)[0]["answer"].(Object)["candidates"].([]any)
		equal(t, len(candidates), number+1)
	}
}

func TestResetTakesACustomerBackToItsStart(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	customer.Rule("busy", Object{"reply": Object{"code": "6014"}})
	customer.State("down")
	equal(t, post(t, customer, nil), "6014")
	customer.Reset("journal")
	equal(t, len(customer.Requests(nil)), 0)
	customer.Reset("all")
	equal(t, []string{customer.State(), post(t, customer, nil)}, []string{"", "6018"})
}

func TestExplainSaysWhyAndConsumesNothing(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	explained := customer.Explain(body(t, customer, Object{"threshold": "21"}))
	equal(t, explained["code"], "5005")
	matches(t, text(explained["findings"]), "21")
	equal(t, len(customer.Requests(nil)), 0)
}

func TestAFailedVerifyReportsNearMissesAndReasons(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	post(t, customer, Object{"transactionId": "T-2", "password": "AAAA"})
	message := failure(t, customer, func(c *Customer) { c.Verify(Object{"code": "6018", "transaction_id": "T-1"}, Exactly(1)) })
	lines := strings.Split(message, "\n")
	equal(t, lines[0], `0 requests found, expected exactly 1: {"code":"6018","customer_id":"`+customer.ID+`","transaction_id":"T-1"}`)
	id := text(customer.Requests(nil)[0]["id"])
	matches(t, lines[1], "^  nearest  #"+id+"  5006: password has the wrong length for the key: 3 bytes")
	equal(t, lines[2:4], []string{`           code: want "6018", got "5006"`, `           transaction_id: want "T-1", got "T-2"`})
	matches(t, lines[4], "^  hint: ")
}

func TestAFailedVerifyListsTheMatchesWhenThereAreTooManyAndNothingOfOtherTests(t *testing.T) {
	t.Parallel()
	customer, other := sim.Customer(t, nil), sim.Customer(t, nil)
	post(t, other, nil)
	none := failure(t, customer, func(c *Customer) { c.Verify(nil, AtLeast(1)) })
	matches(t, none, "the journal has no requests of "+customer.ID)
	many := failure(t, other, func(c *Customer) { c.Verify(nil, AtMost(0)) })
	matches(t, many, `^1 request found, expected at most 0.*\n  matched  #\d+  6018: `)
}

func TestWaitWaitsForRequestsOfAnotherGoroutine(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	var client sync.WaitGroup
	client.Add(1)
	go func() {
		defer client.Done()
		posts(t, customer, 2)
	}()
	found := customer.Wait(Object{"state": "done"}, 2, 10*time.Second)
	client.Wait()
	equal(t, []any{found[0]["ordinal"], found[1]["ordinal"]}, []any{2.0, 1.0})
	late := failure(t, customer, func(c *Customer) { c.Wait(nil, 3, time.Millisecond) })
	matches(t, late, "^2 requests of 3 came within 1ms")
}

func TestAnErrorOfTheAPIHasAHint(t *testing.T) {
	t.Parallel()
	customer := sim.Customer(t, nil)
	message := failure(t, customer, func(c *Customer) { c.Rule("x", Object{"tims": 2}) })
	matches(t, message, "^400 invalid: unknown key `tims`.* \\(at /tims\\); did you mean `times`\\?")
	_, err := sim.Ask("PUT", "/customers/"+customer.ID+"/quota", Object{"per_day": "x"})
	equal(t, []any{err.(*APIError).Status, err.(*APIError).Path}, []any{400, "/per_day"})
}

func TestAStoppedSimulatorLeavesNothingBehind(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("FRSIM_ADMIN_TOKEN", "secret")
	own, err := Start("--seed", "7")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Stop()
	config, err := own.Ask("GET", "/config", nil)
	equal(t, []any{config["seed"], err}, []any{7.0, nil})
	equal(t, own.Clock(t, Object{"now": "2026-11-21T10:00:00+07:00"})["now"], "2026-11-21T10:00:00+07:00")
	own.Reset(t, "clock")
	equal(t, own.Clock(t, nil)["frozen"], false)
	_, err = (&Simulator{Admin: own.Admin}).Ask("GET", "/customers", nil)
	equal(t, err.(*APIError).Status, 401)
	for range [2]int{} {
		equal(t, own.Stop(), nil)
	}
	if _, err := own.Ask("GET", "/ready", nil); err == nil {
		t.Fatal("it still answers")
	}
	left, _ := os.ReadDir(temporary)
	equal(t, len(left), 0)
}

func TestAFailedStartReportsTheReason(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	_, err := Start("--layout", "pretty")
	matches(t, err.Error(), `(?s)did not start \(exit status 2\): .*--layout`)
	t.Setenv("FRSIM_BINARY", "/no/such/binary")
	_, err = Start()
	matches(t, err.Error(), "/no/such/binary")
	left, _ := os.ReadDir(temporary)
	equal(t, len(left), 0)
}

func TestRunPassesFlagsAndEndsWithTheTests(t *testing.T) {
	t.Setenv("INNER", "--clock 2026-11-21T10:00:00+07:00")
	output, err := exec.Command(os.Args[0], "-test.run", "TestInner", "-test.v").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	address := regexp.MustCompile(`http://[0-9.:]+`).FindString(string(output))
	if _, err := (&Simulator{Admin: address}).Ask("GET", "/ready", nil); address == "" || err == nil {
		t.Fatalf("the simulator of %q did not end: %s", address, output)
	}
}

func TestInner(t *testing.T) {
	if os.Getenv("INNER") == "" {
		return
	}
	equal(t, sim.Clock(t, nil)["now"], "2026-11-21T10:00:00+07:00")
	t.Log(sim.Admin)
}

func TestAMissingBinaryIsAnErrorWithAHint(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("FRSIM_BINARY", "")
	t.Setenv("PATH", "")
	before, _ := os.Getwd()
	defer os.Chdir(before)
	if err := os.Chdir(directory); err != nil {
		t.Fatal(err)
	}
	_, err := findBinary()
	matches(t, err.Error(), "set FRSIM_BINARY")
	built := filepath.Join("dukcapil-fr-sim", "target", "debug", "dukcapil-fr-sim")
	os.MkdirAll(filepath.Dir(built), 0o700)
	os.WriteFile(built, nil, 0o700)
	found, err := findBinary()
	equal(t, err, nil)
	matches(t, found, built+"$")
}
