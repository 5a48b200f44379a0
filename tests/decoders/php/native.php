<?php

// Reads answers from stdin, one JSON object {"status","body"} a line, and prints what a PHP client of the 1:1 API with types makes of each.

declare(strict_types=1);

final class Verification
{
    public object $error;
    public int $httpResponseCode;
    public float $matchScore;
    public string $transactionId;
    public string $uid;
    public bool $verificationResult;
    public int $quotaLimiter;
}

/** Returns the name of a value's type, as the other decoders say it. */
function kind(mixed $value): string
{
    return match (get_debug_type($value)) {
        'string' => 'a text',
        'int', 'float' => 'a number',
        'bool' => 'a boolean',
        'null' => 'null',
        default => 'an object',
    };
}

function reading(string $body): string
{
    $answer = json_decode($body, flags: JSON_THROW_ON_ERROR);
    $verification = new Verification();
    foreach (array_keys(get_class_vars(Verification::class)) as $name) {
        if (!property_exists($answer, $name)) {
            throw new UnexpectedValueException("$name is missing");
        }
        try {
            $verification->$name = $answer->$name;
        } catch (TypeError) {
            throw new UnexpectedValueException("$name is " . kind($answer->$name));
        }
    }
    return $verification->error->errorCode . ($verification->verificationResult ? ' found' : ' rejected');
}

while (($line = fgets(STDIN)) !== false) {
    $answer = json_decode($line, flags: JSON_THROW_ON_ERROR);
    try {
        echo 'ok ' . reading($answer->body) . "\n";
    } catch (JsonException) {
        echo "broken: not JSON\n";
    } catch (UnexpectedValueException $error) {
        echo 'broken: ', $error->getMessage(), "\n";
    }
}
