package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// gateway passes the endpoint's answer on to its own callers: the matcher's three answers under 200, all else as 503.
func gateway(answer Answer) (string, error) {
	code := "-"
	if answer.Status == http.StatusOK {
		var decoded map[string]any
		if json.Unmarshal([]byte(answer.Body), &decoded) == nil {
			if text, isText := decoded["errorCode"].(string); isText {
				code = text
			}
		}
	}
	status := http.StatusServiceUnavailable
	switch code {
	case "6018", "6019", "6020":
		status = http.StatusOK
	}
	outcome := map[int]string{http.StatusOK: "answered", http.StatusServiceUnavailable: "rejected"}[status]
	return fmt.Sprintf("%s %s", code, outcome), nil
}
