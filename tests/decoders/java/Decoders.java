import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.stream.Collectors;

/** Reads answers from stdin, one JSON object {"status","body"} a line, and prints what Jackson makes of each: Decoders strict|texts. */
final class Decoders {
    private static final ObjectMapper MAPPER = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    /** A class made from the sample of doc 4.1. */
    static final class Strict {
        @JsonProperty String tid;
        @JsonProperty("encounter_id") Object encounterId;
        @JsonProperty String error;
        @JsonProperty String errorCode;
        @JsonProperty("finger_data") Object fingerData;
        @JsonProperty("iris_data") Object irisData;
        @JsonProperty("face_data") Object faceData;
        @JsonProperty("request_type") String requestType;
        @JsonProperty int maxResults;
        @JsonProperty String faceThreshold;
        @JsonProperty int fingerThreshold;
        @JsonProperty int irisThreshold;
        @JsonProperty String response;
    }

    /** A data transfer object with a text for each number; other keys are ignored. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    static final class Texts {
        @JsonProperty String tid;
        @JsonProperty String error;
        @JsonProperty String errorCode;
        @JsonProperty String maxResults;
        @JsonProperty String faceThreshold;
        @JsonProperty String fingerThreshold;
        @JsonProperty String irisThreshold;
        @JsonProperty String response;
    }

    static final class Response {
        @JsonProperty Face face;
    }

    static final class Face {
        @JsonProperty("FACE_T5") Map<String, Double> scores;
    }

    /** The answer was read, and is none that the client knows. */
    static final class Broken extends Exception {
        Broken(String reason) {
            super(reason);
        }
    }

    private static String strict(String body) throws IOException, Broken {
        Strict answer = MAPPER.readValue(body, Strict.class);
        if (answer.response == null) {
            throw new Broken("response is missing");
        }
        return reading(answer.errorCode, answer.response);
    }

    private static String texts(String body) throws IOException, Broken {
        Texts answer = MAPPER.readValue(body, Texts.class);
        if (answer.errorCode == null) {
            throw new Broken("errorCode is missing");
        }
        return reading(answer.errorCode, answer.response);
    }

    private static String reading(String code, String response) throws IOException {
        boolean isFound = response != null && !MAPPER.readValue(response, Response.class).face.scores.isEmpty();
        return code + (isFound ? " found" : code.equals("6018") ? " nobody" : " -");
    }

    private static String reason(JsonProcessingException error) {
        if (error instanceof UnrecognizedPropertyException) {
            return ((UnrecognizedPropertyException) error).getPropertyName() + " is unknown";
        }
        if (!(error instanceof JsonMappingException) || ((JsonMappingException) error).getPath().isEmpty()) {
            return "not JSON";
        }
        String path = ((JsonMappingException) error).getPath().stream()
            .map(JsonMappingException.Reference::getFieldName).collect(Collectors.joining("."));
        return path + (error.getMessage().contains("from Object value") ? " is an object" : " has another type");
    }

    public static void main(String[] arguments) throws IOException {
        boolean isStrict = arguments[0].equals("strict");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode answer = MAPPER.readTree(line);
            String body = answer.get("body").textValue();
            try {
                out.println("ok " + (isStrict ? strict(body) : texts(body)));
            } catch (JsonProcessingException error) {
                out.println("broken: " + reason(error));
            } catch (Broken error) {
                out.println("broken: " + error.getMessage());
            }
        }
        out.flush();
    }
}
