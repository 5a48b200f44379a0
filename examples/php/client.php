#!/usr/bin/env php
<?php
// Identifies the person in a picture with the Dukcapil face recognition 1:N endpoint. Needs PHP 8.1 with curl and openssl.
//
//     php client.php --url http://127.0.0.1:8080 --customer demo --image siti.jpg --public-key public.pem
//
// Exit status: 0 answered with 6018, 1 with another code, 2 no valid answer, 64 not sent (invalid arguments or files).

declare(strict_types=1);

const SUCCESS = '6018';
const BUSY = '6014';

// The score is -log10 of the false accept rate, 0 to 20. Among 285 million people 285e6 * 10**-score strangers reach a
// score: 28 reach 7, 0.03 reach 10. A best candidate above the threshold is therefore not yet "found".
const SURE = 10.0;

/** No answer, or one that is not from the endpoint. */
final class NoAnswer extends RuntimeException
{
    public function __construct(string $words, public readonly bool $again = true)
    {
        parent::__construct($words);
    }
}

function options(): array
{
    $options = [
        'url' => null,
        'customer' => null,
        'image' => null,
        'public-key' => null,
        'user' => 'demo-user',
        'password' => 'demo-password',
        'threshold' => '7',
        'ip' => '127.0.0.1', // your own registered address, not the endpoint's; any other is rejected with 5003
        'timeout' => '30',   // seconds; the real matcher is slow: 30 to 60 are usual
        'retries' => '2',
        'backoff' => '1',    // seconds
    ];
    // Not getopt, which ignores an unknown option, and one without its value.
    foreach (array_chunk(array_slice($GLOBALS['argv'], 1), 2) as $pair) {
        $name = str_starts_with($pair[0], '--') ? substr($pair[0], 2) : '';
        array_key_exists($name, $options) || not_asked("there is no option $pair[0]");
        $options[$name] = $pair[1] ?? not_asked("$pair[0] needs a value");
    }
    foreach ($options as $name => $value) {
        $value !== null || not_asked("--$name is needed");
    }
    foreach (['timeout', 'retries', 'backoff'] as $name) {
        is_numeric($options[$name]) || not_asked("--$name $options[$name] is not a number");
    }
    return $options;
}

function not_asked(string $reason): never
{
    fwrite(STDERR, "$reason\n");
    exit(64);
}

function encrypted(string $plain, OpenSSLAsymmetricKey $key): string
{
    // PKCS#1 v1.5 is this function's default, explicit here because OAEP is answered with 5006. At most 245 bytes fit a key of
    // 2048 bits. base64_encode returns one line; chunk_split, seen in many examples, would break it.
    openssl_public_encrypt($plain, $ciphertext, $key, OPENSSL_PKCS1_PADDING) || throw new LogicException('cannot encrypt');
    return base64_encode($ciphertext);
}

function request_body(array $options, OpenSSLAsymmetricKey $key, string $image, string $transaction): string
{
    return json_encode([
        'transactionId' => $transaction,
        'transactionSource' => 'php',
        'threshold' => $options['threshold'], // a string, as in the document's sample; its table says number: both are accepted
        'image' => base64_encode($image),
        'user_id' => encrypted($options['user'], $key),
        'password' => encrypted($options['password'], $key),
        'ip' => $options['ip'],
    ], JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES); // without the flag each / of the base64 becomes \/: valid, but longer
}

/** Sends one request. */
function exchange(array $options, string $body): array
{
    $curl = curl_init("{$options['url']}/api/face-recognition/{$options['customer']}/CALL_FN");
    curl_setopt_array($curl, [
        CURLOPT_POSTFIELDS => $body, // a string: an array would be sent as a form
        CURLOPT_HTTPHEADER => ['Content-Type: application/json', 'Accept: application/json'],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT_MS => (int) (1000 * $options['timeout']), // covers the whole call; the default is none
    ]);
    // file_get_contents would return a truncated answer without an error; curl reports error 18.
    $content = curl_exec($curl);
    if ($content === false) {
        throw new NoAnswer('curl ' . curl_errno($curl) . ': ' . curl_error($curl));
    }
    // Rejections have status 200. Any other status, and its body, come from a proxy or gateway.
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    if ($status !== 200) {
        throw new NoAnswer("HTTP status $status", $status >= 500);
    }
    try {
        $answer = json_decode($content, true, flags: JSON_THROW_ON_ERROR);
    } catch (JsonException $error) {
        throw new NoAnswer("bad JSON: {$error->getMessage()}");
    }
    return isset($answer['error']) ? $answer : throw new NoAnswer('JSON, but no answer of the endpoint');
}

/** Reads code and message from both answer shapes, the code as a string. */
function outcome(array $answer): array
{
    [$code, $message] = is_array($answer['error'])
        ? [$answer['error']['errorCode'] ?? '', $answer['error']['errorMessage'] ?? ''] // 5001 and 5005: nested, the code a number
        : [$answer['errorCode'] ?? '', $answer['error']];                               // all others: flat, the code a string
    return [(string) $code, trim((string) $message)]; // some messages have surrounding spaces
}

/** Returns all candidates as [NIK, score], best first. */
function candidates(array $answer): array
{
    // JSON inside a string. 5004 has no "response", so it is read only after 6018.
    $response = json_decode($answer['response'] ?? '', true);
    $scores = $response['face']['FACE_T5'] ?? throw new NoAnswer('bad response: ' . json_last_error_msg());
    $found = [];
    foreach ($scores as $nik => $score) {
        $found[] = [trim((string) $nik), (float) $score]; // PHP turns a key of digits into an int
    }
    usort($found, fn ($a, $b) => $b[1] <=> $a[1]);
    return $found;
}

/** Sends requests until the answer is final or the retries are used up. Returns code, message and candidates. */
function identify(array $options, OpenSSLAsymmetricKey $key, string $image): array
{
    // One id for all tries, at most 20 characters: a try whose answer was lost may have been charged, and this id is how
    // you and the operator find out. Each try encrypts again, because the padding is random.
    $transaction = bin2hex(random_bytes(10));
    for ($attempt = 0;; $attempt++) {
        $last = $attempt >= (int) $options['retries'];
        try {
            $answer = exchange($options, request_body($options, $key, $image, $transaction));
            [$code, $message] = outcome($answer);
            $found = $code === SUCCESS ? candidates($answer) : [];
            // Retries only 6014 (busy). A wrong account, quota, address or parameter stays wrong.
            if ($code !== BUSY || $last) {
                return [$code, $message, $found];
            }
            $words = "$code $message";
        } catch (NoAnswer $error) {
            if ($last || !$error->again) {
                throw $error;
            }
            $words = $error->getMessage();
        }
        // Exponential backoff with jitter, so that many clients do not retry at the same time.
        $pause = $options['backoff'] * 2 ** $attempt * random_int(50, 150) / 100;
        fprintf(STDERR, "try %d: %s; again in %.1f s\n", $attempt + 1, $words, $pause);
        usleep((int) (1e6 * $pause));
    }
}

$options = options();
$image = @file_get_contents($options['image']);
$image !== false || not_asked("cannot read {$options['image']}");
$key = openssl_pkey_get_public((string) @file_get_contents($options['public-key'])) ?: not_asked("no public key in {$options['public-key']}");

try {
    [$code, $message, $found] = identify($options, $key, $image);
} catch (NoAnswer $error) {
    echo $error->getMessage(), "\nfailed\n";
    exit(2);
}
if ($code !== SUCCESS) {
    echo "$code\t$message\nrefused\n";
    exit(1);
}
foreach ($found as [$nik, $score]) {
    printf("%s\t%.2F\n", $nik, $score); // F, not f: with an Indonesian locale f prints a comma
}
$sure = count(array_filter($found, fn ($candidate) => $candidate[1] >= SURE));
// Two nearly certain candidates are look-alikes, twins, or one person registered twice: a human decides.
echo $found === [] ? 'none' : ($sure === 1 ? 'found' : 'unsure'), "\n";
