package main

import (
	"encoding/json"
	"errors"
	"fmt"
)

// envelope is the flat answer, every field a text or an int.
type envelope struct {
	Tid             string `json:"tid"`
	EncounterID     string `json:"encounter_id"`
	Error           string `json:"error"`
	ErrorCode       string `json:"errorCode"`
	FingerData      string `json:"finger_data"`
	IrisData        string `json:"iris_data"`
	FaceData        string `json:"face_data"`
	RequestType     string `json:"request_type"`
	MaxResults      int    `json:"maxResults"`
	FaceThreshold   string `json:"faceThreshold"`
	FingerThreshold int    `json:"fingerThreshold"`
	IrisThreshold   int    `json:"irisThreshold"`
	Response        string `json:"response"`
}

// flat is a 1:N client that declares the envelope of doc 4.1 and no other.
func flat(answer Answer) (string, error) {
	var decoded envelope
	if err := json.Unmarshal([]byte(answer.Body), &decoded); err != nil {
		return "", reason(err)
	}
	if decoded.ErrorCode == "" {
		return "", errors.New("errorCode is missing")
	}
	if decoded.ErrorCode != "6018" {
		return decoded.ErrorCode + " -", nil
	}
	var response struct {
		Face struct {
			Scores map[string]float64 `json:"FACE_T5"`
		} `json:"face"`
	}
	if err := json.Unmarshal([]byte(decoded.Response), &response); err != nil {
		return "", reason(err)
	}
	if len(response.Face.Scores) == 0 {
		return "6018 nobody", nil
	}
	return "6018 found", nil
}

func reason(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return errors.New("not JSON")
	}
	kind := map[string]string{"object": "an object", "number": "a number", "string": "a text", "bool": "a boolean"}[wrong.Value]
	return fmt.Errorf("%s is %s", wrong.Field, kind)
}
