// Package payment runs the simulator in a container for go test.
package payment

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

const token = "for-tests"

func TestEachTestHasItsOwnCustomer(t *testing.T) {
	ctx := context.Background()
	frsim, err := testcontainers.Run(ctx, "dukcapil-fr-sim",
		testcontainers.WithEnv(map[string]string{
			"FRSIM_LISTEN":       "0.0.0.0:8080",
			"FRSIM_ADMIN_LISTEN": "0.0.0.0:9090",
			"FRSIM_ADMIN_TOKEN":  token,
		}),
		testcontainers.WithExposedPorts("8080/tcp", "9090/tcp"),
		testcontainers.WithWaitStrategy(wait.ForHTTP("/ready").WithPort("9090/tcp")),
	)
	testcontainers.CleanupContainer(t, frsim)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := frsim.PortEndpoint(ctx, "9090/tcp", "http")
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest("POST", admin+"/customers", strings.NewReader(`{"ttl":"10m"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	// Pass its customer_id, account, path and public_key_pem to the client under test.
	if response.StatusCode != http.StatusCreated {
		t.Fatal(response.Status)
	}
}
