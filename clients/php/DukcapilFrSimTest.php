<?php

// Tests of the trait: `phpunit clients/php`, as .ci/helpers does.

declare(strict_types=1);

require_once __DIR__ . '/DukcapilFrSim.php';

use DukcapilFrSim\ApiError;
use DukcapilFrSim\Customer;
use DukcapilFrSim\Simulator;
use DukcapilFrSim\WithSimulator;
use PHPUnit\Framework\AssertionFailedError;
use PHPUnit\Framework\TestCase;

final class DukcapilFrSimTest extends TestCase
{
    use WithSimulator;

    /** One pixel instead of a photo: these tests are about the other checks. */
    private const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==';

    /** Returns a valid request of the customer. */
    private static function body(Customer $customer, array $changed = []): array
    {
        $encrypted = array_map(function (string $text) use ($customer): string {
            self::assertTrue(openssl_public_encrypt($text, $ciphertext, $customer->publicKeyPem));
            return base64_encode($ciphertext);
        }, $customer->account);
        $fields = ['transactionId' => 'T-1', 'transactionSource' => 'phpunit', 'threshold' => '7', 'image' => self::PIXEL, 'ip' => '10.0.0.1'];
        return [...$fields, 'user_id' => $encrypted['user_id'], 'password' => $encrypted['password'], ...$changed];
    }

    /** Posts a request as a client does and returns the code of the response. */
    private static function post(Customer $customer, array $changed = []): string
    {
        $http = ['method' => 'POST', 'header' => ['Content-Type: application/json', 'Accept: application/json']];
        $context = stream_context_create(['http' => [...$http, 'content' => json_encode(self::body($customer, $changed))]]);
        $answer = json_decode(file_get_contents($customer->url, false, $context), true);
        return (string) (is_array($answer['error']) ? $answer['error']['errorCode'] : $answer['errorCode']);
    }

    /** Returns the message with which the call fails. */
    private static function failure(callable $call, string $class = AssertionFailedError::class): string
    {
        try {
            $call();
        } catch (Throwable $error) {
            self::assertInstanceOf($class, $error, $error->getMessage());
            return $error->getMessage();
        }
        self::fail("no $class");
    }

    public function testAValidRequestIsAnsweredAndVerified(): void
    {
        $customer = $this->customer();
        self::assertSame($customer, $this->customer());
        self::assertSame('6018', self::post($customer));
        self::assertSame(1, $customer->verify(['code' => '6018', 'transaction_id' => 'T-*'], exactly: 1));
        self::assertSame(1, $customer->verify());
        self::assertSame('T-1', $customer->requests(code: '6018')[0]['request']['transaction_id']);
        self::assertSame([], $customer->requests(code: '5001'));
    }

    public function testEachCustomerHasItsOwnIdAndAccount(): void
    {
        $other = self::simulator()->customer(['quota' => ['per_day' => 1]]);
        self::assertNotSame($this->customer()->id, $other->id);
        self::assertNotSame($this->customer()->account, $other->account);
        self::assertSame(['6018', '5002'], [self::post($other), self::post($other)]);
        self::assertSame([], $this->customer()->requests());
        $other->delete();
        $other->delete();
        self::assertStringStartsWith('404 not_found', self::failure(fn () => $other->quota(), ApiError::class));
    }

    private static string $earlier = '';

    /** The customer is deleted after its test. */
    public function testATestLeavesItsCustomer(): void
    {
        self::$earlier = $this->customer()->id;
        self::assertNotSame('', self::$earlier);
    }

    /** @depends testATestLeavesItsCustomer */
    #[PHPUnit\Framework\Attributes\Depends('testATestLeavesItsCustomer')]
    public function testAndTheNextDoesNotFindIt(): void
    {
        $gone = self::failure(fn () => self::simulator()->ask('GET', '/customers/' . self::$earlier), ApiError::class);
        self::assertStringStartsWith('404', $gone);
    }

    public function testARuleScriptsTheNextAnswers(): void
    {
        $customer = $this->customer();
        $customer->rule('busy twice', ['when' => ['outcome' => '6018'], 'times' => 2, 'reply' => ['code' => '6014']]);
        self::assertSame(['6014', '6014', '6018'], [self::post($customer), self::post($customer), self::post($customer)]);
        self::assertSame([null, 'busy twice', 'busy twice'], array_column($customer->requests(), 'rule'));
    }

    public function testQuotaIsResetWhenTheClockPassesMidnight(): void
    {
        $customer = $this->customer();
        $customer->clock(now: '2026-11-21T23:59:00+07:00');
        self::assertSame(1, $customer->quota(per_day: 1)['left']);
        self::assertSame(['6018', '5002'], [self::post($customer), self::post($customer)]);
        self::assertStringStartsWith('2026-11-22T00:01:00', $customer->clock(advance: '2m')['now']);
        self::assertSame('6018', self::post($customer));
        self::assertSame(1, $customer->quota()['used']);
        self::assertTrue($customer->clock()['frozen']);
    }

    public function testAScenarioHasAState(): void
    {
        $customer = $this->customer();
        $customer->rule('down', ['when' => ['state' => 'down'], 'reply' => ['code' => '6014']]);
        self::assertSame('', $customer->state());
        self::assertSame('down', $customer->state('down'));
        self::assertSame('6014', self::post($customer));
        self::assertSame('', $customer->state(''));
        self::assertSame('6018', self::post($customer));
    }

    public function testAnEnrolledPersonIsFoundByThisCustomerOnly(): void
    {
        $photo = file_get_contents(__DIR__ . '/../../fixtures/gallery/andi.png');
        $person = $this->customer()->enrol($photo, nik: '3273010101909777', name: 'Baru');
        self::assertSame(['3273010101909777', 'Baru', $this->customer()->id], [$person['nik'], $person['name'], $person['customer_id']]);
        $other = self::simulator()->customer();
        foreach ([[$other, 1], [$this->customer(), 2]] as [$customer, $number]) {
            self::assertSame('6018', self::post($customer, ['image' => base64_encode($photo)]));
            self::assertCount($number, $customer->requests()[0]['answer']['candidates']);
        }
        $other->delete();
    }

    public function testResetTakesACustomerBackToItsStart(): void
    {
        $customer = $this->customer();
        $customer->rule('busy', ['reply' => ['code' => '6014']]);
        $customer->state('down');
        self::assertSame('6014', self::post($customer));
        $customer->reset('journal');
        self::assertSame([], $customer->requests());
        $customer->reset();
        self::assertSame(['', '6018'], [$customer->state(), self::post($customer)]);
    }

    public function testExplainSaysWhyAndConsumesNothing(): void
    {
        $explained = $this->customer()->explain(self::body($this->customer(), ['threshold' => '21']));
        self::assertSame('5005', $explained['code']);
        self::assertStringContainsString('21', json_encode($explained['findings']));
        self::assertSame([], $this->customer()->requests());
    }

    public function testAFailedVerifyReportsNearMissesAndReasons(): void
    {
        $customer = $this->customer();
        self::post($customer, ['transactionId' => 'T-2', 'password' => 'AAAA']);
        $message = self::failure(fn () => $customer->verify(['code' => '6018', 'transaction_id' => 'T-1'], exactly: 1));
        $lines = explode("\n", $message);
        $id = $customer->requests()[0]['id'];
        $match = "{\"code\":\"6018\",\"transaction_id\":\"T-1\",\"customer_id\":\"$customer->id\"}";
        self::assertSame("0 requests found, expected exactly 1: $match", $lines[0]);
        self::assertStringStartsWith("  nearest  #$id  5006: password has the wrong length for the key: 3 bytes", $lines[1]);
        self::assertSame('           code: want "6018", got "5006"', $lines[2]);
        self::assertSame('           transaction_id: want "T-1", got "T-2"', $lines[3]);
        self::assertStringStartsWith('  hint: ', $lines[4]);
    }

    public function testAFailedVerifyListsTheMatchesWhenThereAreTooManyAndNothingOfOtherTests(): void
    {
        $other = self::simulator()->customer();
        self::post($other);
        $none = self::failure(fn () => $this->customer()->verify(['code' => '6018']));
        self::assertStringContainsString("the journal has no requests of {$this->customer()->id}", $none);
        $many = self::failure(fn () => $other->verify(at_most: 0));
        self::assertMatchesRegularExpression('/^1 request found, expected at most 0.*\n  matched  #\d+  6018: /', $many);
        $other->delete();
    }

    public function testWaitCountsEarlierRequestsAndEndsWithTheTimeout(): void
    {
        $customer = $this->customer();
        self::post($customer);
        self::post($customer);
        self::assertSame([2, 1], array_column($customer->wait(['state' => 'done'], 2), 'ordinal'));
        self::assertStringStartsWith('2 requests of 3 came within 1ms', self::failure(fn () => $customer->wait([], 3, '1ms')));
    }

    public function testVerifyAndWaitAreAssertions(): void
    {
        // PHPUnit calls a test without assertions risky.
        $before = \PHPUnit\Framework\Assert::getCount();
        $this->customer()->verify(exactly: 0);
        self::assertSame($before + 1, \PHPUnit\Framework\Assert::getCount());
    }

    public function testAnErrorOfTheApiIsAnExceptionWithAHint(): void
    {
        try {
            $this->customer()->rule('x', ['tims' => 2]);
            self::fail('a rule with an unknown key');
        } catch (ApiError $error) {
            $found = [$error->status, $error->apiCode, $error->path, $error->hint];
            self::assertSame([400, 'invalid', '/tims', 'did you mean `times`?'], $found);
            self::assertStringStartsWith('400 invalid: unknown key `tims`', $error->getMessage());
        }
        $empty = self::failure(fn () => $this->customer()->rule('y', []), ApiError::class);
        self::assertStringContainsString('it has no effect', $empty, 'an empty array is an object');
    }

    /** @return list<string> */
    private static function left(): array
    {
        return glob(sys_get_temp_dir() . '/frsim-*');
    }

    public function testAStoppedSimulatorLeavesNothingBehind(): void
    {
        $before = self::left();
        $own = Simulator::start('--seed', '7');
        self::assertCount(count($before) + 1, self::left());
        self::assertSame(7, $own->ask('GET', '/config')['seed']);
        self::assertFalse($own->clock()['frozen']);
        self::assertSame('2026-11-21T10:00:00+07:00', $own->clock(now: '2026-11-21T10:00:00+07:00')['now']);
        $own->reset('clock');
        self::assertFalse($own->clock()['frozen']);
        $own->stop();
        $own->stop();
        self::assertSame($before, self::left());
        self::assertStringContainsString('refused', self::failure(fn () => $own->ask('GET', '/ready'), RuntimeException::class));
    }

    public function testAFailedStartReportsTheReason(): void
    {
        $before = self::left();
        $reason = self::failure(fn () => Simulator::start('--layout', 'pretty'), RuntimeException::class);
        self::assertMatchesRegularExpression('/^dukcapil-fr-sim did not start \(exit status 2\): .*--layout/s', $reason);
        self::assertSame($before, self::left());
    }

    public function testAMissingBinaryIsAnErrorThatNamesIt(): void
    {
        $before = self::left();
        $binary = getenv('FRSIM_BINARY');
        putenv('FRSIM_BINARY=/no/such/binary');
        try {
            $reason = self::failure(fn () => Simulator::start(), RuntimeException::class);
            self::assertStringContainsString('/no/such/binary', $reason);
        } finally {
            putenv($binary === false ? 'FRSIM_BINARY' : "FRSIM_BINARY=$binary");
        }
        self::assertSame($before, self::left());
    }

    public function testTheTokenOfTheEnvironmentIsUsed(): void
    {
        putenv('FRSIM_ADMIN_TOKEN=secret');
        try {
            $own = Simulator::start();
        } finally {
            putenv('FRSIM_ADMIN_TOKEN');
        }
        self::assertArrayHasKey('customers', $own->ask('GET', '/customers'));
        $stranger = new Simulator($own->endpoint, $own->admin);
        self::assertStringStartsWith('401', self::failure(fn () => $stranger->ask('GET', '/customers'), ApiError::class));
        $own->stop();
    }

    public function testSimulatorsAreSharedByTheirFlags(): void
    {
        self::assertSame(self::simulator(), Simulator::shared([]));
        $frozen = Simulator::shared(['--clock', '2026-11-21T10:00:00+07:00']);
        self::assertNotSame(self::simulator(), $frozen);
        self::assertTrue($frozen->clock()['frozen']);
        self::assertSame($frozen, Simulator::shared(['--clock', '2026-11-21T10:00:00+07:00']));
    }
}
