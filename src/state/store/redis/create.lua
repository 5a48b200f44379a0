-- Creates a store where there is none. Returns what it belongs to, as fields and values; nothing when something else is there.
-- KEYS: meta, ver, log, pages. ARGV: number of fields of meta, these and their values, the keys' prefix; then subject, field, value.
local found = redis.call('TYPE', KEYS[1]).ok
if found == 'hash' then return redis.call('HGETALL', KEYS[1]) end
if found ~= 'none' or redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) > 0 then return {} end
local at = 2
for _ = 1, tonumber(ARGV[1]) do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
local prefix = ARGV[at]
at = at + 1
while ARGV[at] do
  redis.call('HSET', prefix .. 's:' .. ARGV[at], ARGV[at + 1], ARGV[at + 2])
  redis.call('HSET', KEYS[2], ARGV[at], 0)
  at = at + 3
end
return redis.call('HGETALL', KEYS[1])
