<?php

declare(strict_types=1);

require_once __DIR__ . '/DukcapilFrSim.php';

use DukcapilFrSim\Customer;
use DukcapilFrSim\WithSimulator;
use PHPUnit\Framework\TestCase;

/** Tests of a client. Each test has its own customer; the simulator starts once per test run. */
final class PaymentTest extends TestCase
{
    use WithSimulator;

    private const SITI = '3174055708909001'; // one of the fictional people in the simulator's gallery

    /** The client under test; use yours instead. Returns the code of the answer, after at most three tries. */
    private static function search(Customer $customer, string $photo): string
    {
        for ($tries = 1; ; $tries++) {
            openssl_public_encrypt($customer->account['user_id'], $userId, $customer->publicKeyPem);
            openssl_public_encrypt($customer->account['password'], $password, $customer->publicKeyPem);
            $fields = ['transactionId' => 'PAY-1', 'transactionSource' => 'payment', 'threshold' => '7', 'ip' => '10.0.0.1'];
            $binary = ['image' => $photo, 'user_id' => $userId, 'password' => $password];
            $context = stream_context_create(['http' => [
                'method' => 'POST',
                'header' => ['Content-Type: application/json', 'Accept: application/json'],
                'content' => json_encode([...$fields, ...array_map('base64_encode', $binary)]),
            ]]);
            $answer = json_decode(file_get_contents($customer->url, false, $context), true);
            $code = (string) ($answer['errorCode'] ?? $answer['error']['errorCode']);
            if ($code !== '6014' || $tries === 3) { // 6014: busy
                return $code;
            }
        }
    }

    private function photoOf(string $nik): string
    {
        $sim = self::simulator();
        $context = stream_context_create(['http' => ['header' => "Authorization: Bearer $sim->token"]]);
        return file_get_contents("$sim->admin/gallery/$nik/thumbnail", false, $context);
    }

    public function testSitiIsFound(): void
    {
        $customer = $this->customer();
        self::assertSame('6018', self::search($customer, $this->photoOf(self::SITI)));
        $customer->verify(['code' => '6018', 'transaction_id' => 'PAY-*'], exactly: 1);
    }

    public function testBusyIsRetried(): void
    {
        $customer = $this->customer();
        $customer->rule('busy', ['times' => 2, 'reply' => ['code' => '6014']]);
        self::assertSame('6018', self::search($customer, $this->photoOf(self::SITI)));
        $customer->verify(['code' => '6014'], exactly: 2);
    }

    public function testAUsedUpQuotaIsNotRetried(): void
    {
        $customer = $this->customer();
        $customer->quota(per_day: 80, used: 80);
        self::assertSame('5002', self::search($customer, $this->photoOf(self::SITI)));
        $customer->verify(exactly: 1);
    }
}
