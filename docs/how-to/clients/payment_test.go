// Package payment tests a client. Each test has its own customer; the simulator starts once.
package payment

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"testing"

	"payment/dukcapilfrsim"
)

const siti = "3174055708909001" // one of the fictional people in the simulator's gallery

type object = dukcapilfrsim.Object

var sim *dukcapilfrsim.Simulator

func TestMain(m *testing.M) { os.Exit(dukcapilfrsim.Run(m, &sim)) }

// search is the client under test; import yours instead. It returns the code of the answer, after at most three tries.
func search(t *testing.T, customer *dukcapilfrsim.Customer, photo []byte) string {
	block, _ := pem.Decode([]byte(customer.PublicKeyPEM))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	base64 := base64.StdEncoding.EncodeToString
	var code string
	for tries := 0; tries < 3; tries++ {
		userID, _ := rsa.EncryptPKCS1v15(rand.Reader, key.(*rsa.PublicKey), []byte(customer.UserID))
		password, _ := rsa.EncryptPKCS1v15(rand.Reader, key.(*rsa.PublicKey), []byte(customer.Password))
		body, _ := json.Marshal(map[string]string{
			"transactionId": "PAY-1", "transactionSource": "payment", "threshold": "7", "ip": "10.0.0.1",
			"image": base64(photo), "user_id": base64(userID), "password": base64(password),
		})
		request, _ := http.NewRequest("POST", customer.URL, bytes.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Accept", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ ErrorCode string }
		err = json.NewDecoder(response.Body).Decode(&answer)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if code = answer.ErrorCode; code != "6014" { // 6014: busy
			break
		}
	}
	return code
}

func photoOf(t *testing.T, nik string) []byte {
	request, _ := http.NewRequest("GET", sim.Admin+"/gallery/"+nik+"/thumbnail", nil)
	request.Header.Set("Authorization", "Bearer "+sim.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	photo, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return photo
}

func TestSitiIsFound(t *testing.T) {
	customer := sim.Customer(t, nil)
	if code := search(t, customer, photoOf(t, siti)); code != "6018" {
		t.Error(code)
	}
	customer.Verify(object{"code": "6018", "transaction_id": "PAY-*"}, dukcapilfrsim.Exactly(1))
}

func TestBusyIsRetried(t *testing.T) {
	customer := sim.Customer(t, nil)
	customer.Rule("busy", object{"times": 2, "reply": object{"code": "6014"}})
	if code := search(t, customer, photoOf(t, siti)); code != "6018" {
		t.Error(code)
	}
	customer.Verify(object{"code": "6014"}, dukcapilfrsim.Exactly(2))
}

func TestAUsedUpQuotaIsNotRetried(t *testing.T) {
	customer := sim.Customer(t, nil)
	customer.Quota(object{"per_day": 80, "used": 80})
	if code := search(t, customer, photoOf(t, siti)); code != "5002" {
		t.Error(code)
	}
	customer.Verify(nil, dukcapilfrsim.Exactly(1))
}
