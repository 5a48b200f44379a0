// Reads answers from stdin, one JSON object {"status","body"} a line, and prints what System.Text.Json makes of each: a class made from
// the sample of doc 4.1, every member required, and no other member allowed.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

internal sealed class Answer
{
    [JsonRequired, JsonPropertyName("tid")] public string Tid { get; set; }
    [JsonRequired, JsonPropertyName("encounter_id")] public object EncounterId { get; set; }
    [JsonRequired, JsonPropertyName("error")] public string Error { get; set; }
    [JsonRequired, JsonPropertyName("errorCode")] public string ErrorCode { get; set; }
    [JsonRequired, JsonPropertyName("finger_data")] public object FingerData { get; set; }
    [JsonRequired, JsonPropertyName("iris_data")] public object IrisData { get; set; }
    [JsonRequired, JsonPropertyName("face_data")] public object FaceData { get; set; }
    [JsonRequired, JsonPropertyName("request_type")] public string RequestType { get; set; }
    [JsonRequired, JsonPropertyName("maxResults")] public int MaxResults { get; set; }
    [JsonRequired, JsonPropertyName("faceThreshold")] public string FaceThreshold { get; set; }
    [JsonRequired, JsonPropertyName("fingerThreshold")] public int FingerThreshold { get; set; }
    [JsonRequired, JsonPropertyName("irisThreshold")] public int IrisThreshold { get; set; }
    [JsonRequired, JsonPropertyName("response")] public string Response { get; set; }
}

internal sealed class Response
{
    [JsonRequired, JsonPropertyName("face")] public Face Face { get; set; }
}

internal sealed class Face
{
    [JsonRequired, JsonPropertyName("FACE_T5")] public Dictionary<string, double> Scores { get; set; }
}

internal static class Strict
{
    private static readonly JsonSerializerOptions Options = new JsonSerializerOptions { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

    private static string Reading(string body)
    {
        var answer = JsonSerializer.Deserialize<Answer>(body, Options);
        var scores = JsonSerializer.Deserialize<Response>(answer.Response, Options).Face.Scores;
        return answer.ErrorCode + (scores.Any() ? " found" : answer.ErrorCode == "6018" ? " nobody" : " -");
    }

    private static string Reason(string body, JsonException error)
    {
        var unmapped = Regex.Match(error.Message, "The JSON property '(.*?)' could not be mapped");
        if (unmapped.Success) return unmapped.Groups[1].Value + " is unknown";
        var missing = Regex.Match(error.Message, "missing required properties,? including.*?: '?(\\w+)");
        if (missing.Success) return missing.Groups[1].Value + " is missing";
        var wrong = Regex.Match(error.Path ?? "", "^\\$\\.(\\w+)$");
        if (!wrong.Success || !error.Message.StartsWith("The JSON value could not be converted")) return "not JSON";
        using (var document = JsonDocument.Parse(body))
        {
            var kind = document.RootElement.GetProperty(wrong.Groups[1].Value).ValueKind;
            return wrong.Groups[1].Value + (kind == JsonValueKind.Object ? " is an object" : kind == JsonValueKind.Number ? " is a number" : " is " + kind);
        }
    }

    private static void Main()
    {
        using (var lines = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false)))
        {
            for (var line = lines.ReadLine(); line != null; line = lines.ReadLine())
            {
                using (var answer = JsonDocument.Parse(line))
                {
                    var body = answer.RootElement.GetProperty("body").GetString();
                    try
                    {
                        Console.WriteLine("ok " + Reading(body));
                    }
                    catch (JsonException error)
                    {
                        Console.WriteLine("broken: " + Reason(body, error));
                    }
                }
            }
        }
    }
}
