<?php

/**
 * dukcapil-fr-sim for PHPUnit, in one file to copy beside your tests. PHP 8.1 or newer, PHPUnit 9 or newer, no extensions.
 *
 *     final class PaymentTest extends PHPUnit\Framework\TestCase
 *     {
 *         use DukcapilFrSim\WithSimulator;
 *
 *         public function testBusyIsRetried(): void
 *         {
 *             $customer = $this->customer();
 *             $customer->rule('busy', ['times' => 2, 'reply' => ['code' => '6014']]);
 *             ...
 *             $customer->verify(['code' => '6014'], exactly: 2);
 *         }
 *     }
 *
 * Each test gets its own customer on one simulator per test run: its own account, rules, quota, clock, state, people and view of the
 * journal. The binary is FRSIM_BINARY, or `dukcapil-fr-sim` on the PATH, or the newest build in a `target` directory above this file.
 *
 * A started simulator is ready when it prints a line; then the port file has its addresses. Reading the line needs no polling and ends
 * when the process ends. It is stopped by `POST /shutdown`, which works on every operating system, unlike signals.
 */

declare(strict_types=1);

namespace DukcapilFrSim;

use PHPUnit\Framework\Assert;

const START_TIMEOUT = 60; // seconds; a process that is not ready by then is killed
const RESPONSE_TIMEOUT = 30; // seconds for a response of the admin API
const WAIT_TIMEOUT = 660; // seconds; the admin API itself limits a wait to ten minutes

/** For a test case: `$this->customer()`, `self::simulator()`. */
trait WithSimulator
{
    private ?Customer $ownCustomer = null;

    /** Additional flags for the simulator. Override it, for example with `return ['--fixtures', 'tests/frsim'];`. */
    protected static function simulatorFlags(): array
    {
        return [];
    }

    /** Returns the simulator of the test run that has these flags, started by the first test that asks. */
    protected static function simulator(): Simulator
    {
        return Simulator::shared(static::simulatorFlags());
    }

    /** Returns this test's own customer, created when the test first asks. */
    protected function customer(): Customer
    {
        return $this->ownCustomer ??= self::simulator()->customer();
    }

    /** @after */
    #[\PHPUnit\Framework\Attributes\After]
    protected function deleteOwnCustomer(): void
    {
        $this->ownCustomer?->delete();
        $this->ownCustomer = null;
    }
}

/** An error response of the admin API. `path` points to the invalid part of the body, `hint` says what to do; either may be null. */
final class ApiError extends \RuntimeException
{
    public readonly string $apiCode;
    public readonly string $detail;
    public readonly ?string $path;
    public readonly ?string $hint;

    public function __construct(public readonly int $status, public readonly array $answer)
    {
        ['code' => $this->apiCode, 'message' => $this->detail] = $answer['error'];
        $this->path = $answer['error']['path'] ?? null;
        $this->hint = $answer['error']['hint'] ?? null;
        $at = ($this->path ?? '') === '' ? '' : " (at $this->path)";
        $hint = $this->hint === null ? '' : "; $this->hint";
        parent::__construct("$status $this->apiCode: $this->detail$at$hint");
    }
}

/** A client of a running simulator, started here or elsewhere. `token` is the value of --admin-token. */
final class Simulator
{
    /** @var array<string, self> The simulators of this process, by flags. */
    private static array $shared = [];

    /** @var resource|null */
    private $process = null;
    private string $directory = '';

    public function __construct(public readonly string $endpoint, public readonly string $admin, public readonly ?string $token = null)
    {
    }

    /** Starts a simulator on free ports with its own keys. `$flags` are additional flags of `serve`, such as '--seed', '7'. */
    public static function start(string ...$flags): self
    {
        $directory = sys_get_temp_dir() . DIRECTORY_SEPARATOR . 'frsim-' . bin2hex(random_bytes(8));
        mkdir($directory, 0700);
        $command = [self::findBinary(), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--keys', "$directory/keys"];
        array_push($command, '--port-file', "$directory/ports");
        // Otherwise it would load a `fixtures` directory of the project under test.
        if (!getenv('FRSIM_FIXTURES') && !in_array('--fixtures', $flags, true)) {
            mkdir("$directory/fixtures");
            array_push($command, '--fixtures', "$directory/fixtures");
        }
        $pipes = [];
        $process = @proc_open([...$command, ...$flags], [['null'], ['pipe', 'w'], ['file', "$directory/log", 'w']], $pipes);
        if ($process === false) {
            self::remove($directory);
            throw new \RuntimeException('cannot run ' . $command[0] . ': ' . (error_get_last()['message'] ?? 'unknown reason'));
        }
        // One line, once the port file is written; nothing when the process exits first. Windows cannot wait for a pipe with a limit.
        [$read, $write, $except] = [[$pipes[1]], [], []];
        $came = PHP_OS_FAMILY === 'Windows' || stream_select($read, $write, $except, START_TIMEOUT) === 1;
        $ready = $came ? fgets($pipes[1]) : false;
        if ($ready === false && !$came) {
            proc_terminate($process, 9);
        }
        fclose($pipes[1]);
        if ($ready === false) {
            $status = proc_close($process);
            $output = trim((string) file_get_contents("$directory/log"));
            self::remove($directory);
            $output = $status === 127 && $output === '' ? "cannot run $command[0]" : $output;
            throw new \RuntimeException("dukcapil-fr-sim did not start (exit status $status): $output");
        }
        $ports = json_decode(file_get_contents("$directory/ports"), true, 512, JSON_THROW_ON_ERROR);
        $started = new self($ports['endpoint'], $ports['admin'], getenv('FRSIM_ADMIN_TOKEN') ?: null);
        [$started->process, $started->directory] = [$process, $directory];
        // Also after a fatal error. A signal ends the simulator too, since the terminal sends it to both.
        register_shutdown_function([$started, 'stop']);
        return $started;
    }

    /** Returns the simulator of this process that has these flags; starts it when there is none. */
    public static function shared(array $flags = []): self
    {
        return self::$shared[json_encode($flags)] ??= self::start(...$flags);
    }

    /** Stops it, if it was started here. */
    public function stop(): void
    {
        if ($this->process === null) {
            return;
        }
        [$process, $this->process] = [$this->process, null];
        if (proc_get_status($process)['running']) {
            $this->ask('POST', '/shutdown');
        }
        proc_close($process);
        self::remove($this->directory);
    }

    /** Calls the admin API and returns its JSON response. Throws ApiError. */
    public function ask(string $method, string $path, ?array $body = null, int $timeout = RESPONSE_TIMEOUT): array
    {
        $headers = $body === null ? [] : ['Content-Type: application/json'];
        if ($this->token !== null) {
            $headers[] = "Authorization: Bearer $this->token";
        }
        $http = ['method' => $method, 'header' => $headers, 'ignore_errors' => true, 'timeout' => $timeout, 'follow_location' => 0];
        if ($body !== null) {
            // An empty array is an object here: the API has no list as a body.
            $http['content'] = json_encode($body === [] ? new \stdClass() : $body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
        }
        $stream = @fopen($this->admin . $path, 'r', false, stream_context_create(['http' => $http]));
        if ($stream === false) {
            throw new \RuntimeException("$method $this->admin$path: " . (error_get_last()['message'] ?? 'no answer'));
        }
        try {
            $status = (int) explode(' ', stream_get_meta_data($stream)['wrapper_data'][0])[1];
            $text = stream_get_contents($stream);
            if (stream_get_meta_data($stream)['timed_out']) {
                throw new \RuntimeException("$method $this->admin$path: no answer within $timeout s");
            }
        } finally {
            fclose($stream);
        }
        $answer = json_decode($text, true, 512, JSON_THROW_ON_ERROR);
        return $status < 300 ? $answer : throw new ApiError($status, $answer);
    }

    /** Resets `journal`, `rules`, `quota`, `state`, `clock`, `gallery`, `customers` or `all`: of every customer, or of one. */
    public function reset(string $scope = 'all', ?string $customerId = null): void
    {
        $this->ask('POST', '/reset?' . http_build_query(['scope' => $scope, 'customer_id' => $customerId], '', '&', PHP_QUERY_RFC3986));
    }

    /** Returns the simulator's clock, after a change as of `Customer::clock` if given. Customers' own clocks stay. */
    public function clock(mixed ...$change): array
    {
        return $this->ask($change ? 'PUT' : 'GET', '/clock', $change ?: null);
    }

    /** Creates a customer with a generated id and account and no quota; `$spec` is a customer's fixture file as JSON, with a `ttl`. */
    public function customer(array $spec = []): Customer
    {
        return new Customer($this, $this->ask('POST', '/customers', $spec + ['ttl' => '10m']));
    }

    private static function findBinary(): string
    {
        $name = 'dukcapil-fr-sim' . (PHP_OS_FAMILY === 'Windows' ? '.exe' : '');
        if (getenv('FRSIM_BINARY')) {
            return getenv('FRSIM_BINARY');
        }
        foreach (explode(PATH_SEPARATOR, (string) getenv('PATH')) as $directory) {
            if (is_executable("$directory/$name") && is_file("$directory/$name")) {
                return "$directory/$name";
            }
        }
        for ($directory = __DIR__, $below = null; $directory !== $below; $directory = dirname($below = $directory)) {
            $built = array_filter(["$directory/target/release/$name", "$directory/target/debug/$name"], 'is_file');
            if ($built) {
                usort($built, fn (string $a, string $b) => filemtime($b) <=> filemtime($a));
                return $built[0];
            }
        }
        throw new \RuntimeException("no $name: set FRSIM_BINARY, put it on the PATH, or `cargo build` above " . __DIR__);
    }

    private static function remove(string $directory): void
    {
        foreach (glob("$directory/*") as $path) {
            is_dir($path) ? self::remove($path) : unlink($path);
        }
        rmdir($directory);
    }
}

/** A customer of the simulator: the URL, account and key for the client under test, and the controls for the test. */
final class Customer
{
    public readonly string $id;
    /** The endpoint's URL for this customer. */
    public readonly string $url;
    /** @var array{user_id: string, password: string} */
    public readonly array $account;
    /** Key that encrypts the account, SPKI in PEM: for openssl_public_encrypt. */
    public readonly string $publicKeyPem;
    private readonly string $path;

    public function __construct(public readonly Simulator $simulator, array $view)
    {
        $this->id = $view['customer_id'];
        $this->url = $simulator->endpoint . $view['path'];
        $this->account = $view['account'];
        $this->publicKeyPem = $view['public_key_pem'];
        $this->path = '/customers/' . rawurlencode($this->id);
    }

    /** Deletes it with its rules. Does nothing when it no longer exists. */
    public function delete(): void
    {
        try {
            $this->simulator->ask('DELETE', $this->path);
        } catch (ApiError $error) {
            $error->status === 404 || throw $error;
        }
    }

    /** Creates or replaces a rule, ahead of the fixture rules: `rule('busy', ['times' => 2, 'reply' => ['code' => '6014']])`. */
    public function rule(string $name, array $spec): array
    {
        return $this->simulator->ask('PUT', "$this->path/rules/" . rawurlencode($name), $spec);
    }

    /** Returns today's quota, after setting `per_day` or `used` if given: `quota(per_day: 80, used: 79)`. */
    public function quota(mixed ...$change): array
    {
        return $this->readOrChange('quota', $change);
    }

    /** Returns its clock, after `advance: '25h'`, `now: '2026-11-21T23:59:00+07:00'`, `freeze: true` or `reset: true` if given. */
    public function clock(mixed ...$change): array
    {
        return $this->readOrChange('clock', $change);
    }

    /** Returns the state of its scenario, which rules test with `'when' => ['state' => ...]`, after setting it if given. */
    public function state(?string $new = null): string
    {
        return $this->readOrChange('state', $new === null ? [] : ['state' => $new])['state'];
    }

    /** Enrols a person whom only this customer finds: JPG or PNG files as strings, and `nik`, `name`, `similar`. Returns the person. */
    public function enrol(string|array $pictures, mixed ...$person): array
    {
        $pictures = array_map('base64_encode', array_values((array) $pictures));
        return $this->simulator->ask('POST', '/gallery', [...$person, 'customer_id' => $this->id, 'pictures' => $pictures]);
    }

    /** Resets its `journal`, `rules`, `quota`, `state`, `clock`, `gallery`, or `all` of them. */
    public function reset(string $scope = 'all'): void
    {
        $this->simulator->reset($scope, $this->id);
    }

    /** Returns its journal entries, newest first; `code`, `since`, `state` and `limit` filter them. */
    public function requests(mixed ...$query): array
    {
        $query = http_build_query(['customer_id' => $this->id] + $query + ['limit' => 10_000], '', '&', PHP_QUERY_RFC3986);
        return $this->simulator->ask('GET', "/requests?$query")['requests'];
    }

    /** Asserts the number of its matching requests: by default at least one. Returns it. The failure reports the near misses. */
    public function verify(array $match = [], ?int $exactly = null, ?int $at_least = null, ?int $at_most = null): int
    {
        $count = array_filter(compact('exactly', 'at_least', 'at_most'), fn (?int $number) => $number !== null);
        return $this->assert('/requests/verify', $match, ['count' => $count ?: ['at_least' => 1]], RESPONSE_TIMEOUT)['count'];
    }

    /** Waits for `$count` of its requests, earlier ones included, and returns them, newest first. The test fails on timeout. */
    public function wait(array $match = [], int $count = 1, string $timeout = '10s'): array
    {
        return $this->assert('/requests/wait', $match, ['count' => $count, 'timeout' => $timeout], WAIT_TIMEOUT)['requests'];
    }

    /** Returns the response that a body, text or an array, would get, and why; consumes nothing. */
    public function explain(string|array $body): array
    {
        return $this->simulator->ask('POST', '/explain', ['customer_id' => $this->id, 'body' => $body]);
    }

    private function readOrChange(string $what, array $change): array
    {
        return $this->simulator->ask($change ? 'PUT' : 'GET', "$this->path/$what", $change ?: null);
    }

    private function assert(string $route, array $match, array $more, int $timeout): array
    {
        $match = [...$match, 'customer_id' => $this->id];
        try {
            $answer = $this->simulator->ask('POST', $route, ['match' => $match, ...$more], $timeout);
        } catch (ApiError $error) {
            isset($error->answer['nearest']) || throw $error;
            Assert::fail($this->failure($match, $error));
        }
        Assert::assertTrue(true); // so that PHPUnit counts it
        return $answer;
    }

    private function failure(array $match, ApiError $error): string
    {
        $text = fn (mixed $value) => json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
        $lines = array_map(fn (int $id) => "  matched  #$id  " . $this->answer($id), $error->answer['matched']);
        foreach ($error->answer['nearest'] as ['id' => $id, 'differs' => $differs]) {
            if (isset($differs['customer_id'])) {
                continue; // requests of other tests do not help
            }
            $lines[] = "  nearest  #$id  " . $this->answer($id);
            foreach ($differs as $field => ['want' => $want, 'got' => $got]) {
                $lines[] = "           $field: want {$text($want)}, got {$text($got)}";
            }
        }
        $lines = $lines ?: ["  the journal has no requests of $this->id"];
        return implode("\n", ["$error->detail: {$text($match)}", ...$lines, "  hint: $error->hint"]);
    }

    private function answer(int $id): string
    {
        try {
            $answer = $this->simulator->ask('GET', "/requests/$id")['answer'] ?? [];
        } catch (ApiError $error) {
            $error->status === 404 || throw $error;
            return 'no longer in the journal'; // which is a ring buffer
        }
        return ($answer['code'] ?? $answer['status'] ?? 'no answer') . ': ' . ($answer['reason'] ?? 'no reason given');
    }
}
