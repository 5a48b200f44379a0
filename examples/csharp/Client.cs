// Identifies the person in a picture with the Dukcapil face recognition 1:N endpoint. Needs .NET 6 or newer and no package.
//
//     dotnet run -- --url http://127.0.0.1:8080 --customer demo --image siti.jpg --public-key public.pem
//
// Exit status: 0 answered with 6018, 1 with another code, 2 no valid answer, 64 not sent (invalid arguments or files).

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Threading.Tasks;

/// <summary>No answer, or one that is not from the endpoint.</summary>
sealed class NoAnswer : Exception
{
    public readonly bool Again;

    public NoAnswer(string words, bool again = true) : base(words) => Again = again;
}

sealed class Answer
{
    public string Code, Message;
    public List<(string Nik, double Score)> Found = new List<(string, double)>();
}

sealed class Client
{
    const string Success = "6018", Busy = "6014";

    // The score is -log10 of the false accept rate, 0 to 20. Among 285 million people 285e6 * 10^-score strangers reach a
    // score: 28 reach 7, 0.03 reach 10. A best candidate above the threshold is therefore not yet "found".
    const double Sure = 10;

    readonly string url, customer, user, password, ip;
    readonly double threshold, backoff;
    readonly int retries;
    readonly byte[] image;
    readonly RSA key = RSA.Create();
    readonly HttpClient http = new HttpClient();
    readonly Random chance = new Random();

    Client(IReadOnlyDictionary<string, string> options)
    {
        url = options["--url"];
        customer = options["--customer"];
        user = options["--user"];
        password = options["--password"];
        ip = options["--ip"];
        threshold = Number(options["--threshold"]);
        backoff = Number(options["--backoff"]);
        retries = int.Parse(options["--retries"], CultureInfo.InvariantCulture);
        image = File.ReadAllBytes(options["--image"]);
        key.ImportFromPem(File.ReadAllText(options["--public-key"]));
        http.Timeout = TimeSpan.FromSeconds(Number(options["--timeout"])); // covers the whole call; the default is 100 s
        http.DefaultRequestHeaders.Add("Accept", "application/json");
    }

    static readonly string[] Needed = { "--url", "--customer", "--image", "--public-key" };

    static Dictionary<string, string> Options(string[] args)
    {
        var options = new Dictionary<string, string>
        {
            ["--user"] = "demo-user",
            ["--password"] = "demo-password",
            ["--threshold"] = "7",
            ["--ip"] = "127.0.0.1", // your own registered address, not the endpoint's; any other is rejected with 5003
            ["--timeout"] = "30",   // seconds; the real matcher is slow: 30 to 60 are usual
            ["--retries"] = "2",
            ["--backoff"] = "1",    // seconds
        };
        for (var i = 0; i < args.Length; i += 2)
        {
            if (!Needed.Contains(args[i]) && !options.ContainsKey(args[i]))
            {
                throw new ArgumentException($"there is no option {args[i]}");
            }
            options[args[i]] = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"{args[i]} needs a value");
        }
        return options;
    }

    // An Indonesian culture reads and prints 7,5.
    static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    string Encrypted(string plain)
    {
        // PKCS#1 v1.5, as PHP's openssl_public_encrypt does it; the OaepSHA... ones are answered with 5006.
        // ToBase64String returns one line, unless Base64FormattingOptions.InsertLineBreaks is set.
        return Convert.ToBase64String(key.Encrypt(Encoding.UTF8.GetBytes(plain), RSAEncryptionPadding.Pkcs1));
    }

    string RequestBody(string transaction)
    {
        var fields = new Dictionary<string, object>
        {
            ["transactionId"] = transaction,
            ["transactionSource"] = "csharp",
            ["threshold"] = threshold, // a number, as the document's table says; its sample sends a string: both are accepted
            ["image"] = Convert.ToBase64String(image),
            ["user_id"] = Encrypted(user),
            ["password"] = Encrypted(password),
            ["ip"] = ip,
        };
        // The default encoder escapes each + of the base64 as \u002B: valid, but longer.
        return JsonSerializer.Serialize(fields, new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }

    /// <summary>Sends one request.</summary>
    async Task<Answer> Exchange(string body)
    {
        var content = new StringContent(body, Encoding.UTF8, "application/json");
        try
        {
            using (var response = await http.PostAsync($"{url}/api/face-recognition/{customer}/CALL_FN", content))
            {
                // Rejections have status 200. Any other status, and its body, come from a proxy or gateway.
                var status = (int)response.StatusCode;
                if (status != 200)
                {
                    throw new NoAnswer($"HTTP status {status}", status >= 500);
                }
                return Read(await response.Content.ReadAsStringAsync());
            }
        }
        catch (Exception error) when (error is HttpRequestException || error is TaskCanceledException) // the latter is the time-out
        {
            throw new NoAnswer(Words(error));
        }
        catch (Exception error) when (error is JsonException || error is InvalidOperationException || error is KeyNotFoundException)
        {
            throw new NoAnswer($"bad JSON: {error.Message}"); // or JSON that is not from the endpoint
        }
    }

    // "An error occurred while sending the request" is not enough: the cause is in the inner exceptions.
    static string Words(Exception error) =>
        $"{error.GetType().Name}: {error.Message}" + (error.InnerException == null ? "" : $" ({Words(error.InnerException)})");

    /// <summary>Reads both answer shapes.</summary>
    static Answer Read(string body)
    {
        using (var json = JsonDocument.Parse(body))
        {
            var root = json.RootElement;
            var error = root.GetProperty("error");
            if (error.ValueKind == JsonValueKind.Object) // 5001 and 5005: nested, the code a number, and all else strings
            {
                return new Answer { Code = Text(error.GetProperty("errorCode")), Message = Text(error.GetProperty("errorMessage")) };
            }
            // All others: flat, the code a string.
            var answer = new Answer { Code = Text(root.GetProperty("errorCode")), Message = Text(error) };
            if (answer.Code == Success)
            {
                answer.Found = Candidates(root);
            }
            return answer;
        }
    }

    // Returns a string or a number as text; some messages have surrounding spaces.
    static string Text(JsonElement value) => value.ToString().Trim();

    /// <summary>Returns all candidates, best first.</summary>
    static List<(string Nik, double Score)> Candidates(JsonElement root)
    {
        // JSON inside a string. 5004 has no "response", so it is read only after 6018.
        using (var response = JsonDocument.Parse(Text(root.GetProperty("response"))))
        {
            return response.RootElement.GetProperty("face").GetProperty("FACE_T5").EnumerateObject()
                .Select(candidate => (Nik: candidate.Name.Trim(), Score: candidate.Value.GetDouble()))
                .OrderByDescending(candidate => candidate.Score)
                .ToList();
        }
    }

    /// <summary>Sends requests until the answer is final or the retries are used up.</summary>
    async Task<Answer> Identify()
    {
        // One id for all tries, at most 20 characters: a try whose answer was lost may have been charged, and this id is how
        // you and the operator find out. Each try encrypts again, because the padding is random.
        var transaction = Guid.NewGuid().ToString("N").Substring(0, 20);
        for (var attempt = 0; ; attempt++)
        {
            var last = attempt >= retries;
            string words;
            try
            {
                var answer = await Exchange(RequestBody(transaction));
                // Retries only 6014 (busy). A wrong account, quota, address or parameter stays wrong.
                if (answer.Code != Busy || last)
                {
                    return answer;
                }
                words = $"{answer.Code} {answer.Message}";
            }
            catch (NoAnswer error) when (error.Again && !last)
            {
                words = error.Message;
            }
            // Exponential backoff with jitter, so that many clients do not retry at the same time.
            var pause = TimeSpan.FromSeconds(backoff * Math.Pow(2, attempt) * (0.5 + chance.NextDouble()));
            Console.Error.WriteLine(FormattableString.Invariant($"try {attempt + 1}: {words}; again in {pause.TotalSeconds:F1} s"));
            await Task.Delay(pause);
        }
    }

    static int Print(Answer answer)
    {
        if (answer.Code != Success)
        {
            Console.WriteLine($"{answer.Code}\t{answer.Message}\nrefused");
            return 1;
        }
        foreach (var candidate in answer.Found)
        {
            Console.WriteLine(FormattableString.Invariant($"{candidate.Nik}\t{candidate.Score:F2}"));
        }
        var sure = answer.Found.Count(candidate => candidate.Score >= Sure);
        // Two nearly certain candidates are look-alikes, twins, or one person registered twice: a human decides.
        Console.WriteLine(answer.Found.Count == 0 ? "none" : sure == 1 ? "found" : "unsure");
        return 0;
    }

    static async Task<int> Main(string[] args)
    {
        Client client;
        try
        {
            client = new Client(Options(args));
        }
        catch (Exception error) when (error is IOException || error is UnauthorizedAccessException || error is KeyNotFoundException
            || error is FormatException || error is OverflowException || error is ArgumentException || error is CryptographicException)
        {
            Console.Error.WriteLine(error.Message);
            return 64;
        }
        try
        {
            return Print(await client.Identify());
        }
        catch (NoAnswer error)
        {
            Console.WriteLine($"{error.Message}\nfailed");
            return 2;
        }
    }
}
