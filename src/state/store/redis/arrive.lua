-- Counts a request of a customer. Returns how far a replica must be before it goes on, the request's ordinal, and how many are under way.
-- KEYS: meta, ver, the customer's hash, the customer's requests under way by replica, the customers that have some.
-- ARGV: made, replica, the customer's subject, its id; 0 when the replica knows no such customer: then nothing is counted.
if redis.call('HGET', KEYS[1], 'made') ~= ARGV[1] then return {'elsewhere', 0, 0, 0} end
local position = tonumber(redis.call('HGET', KEYS[1], 'config') or '0')
if ARGV[5] == '0' then return {'kept', position, 0, 0} end
position = math.max(position, tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or '0'))
local ordinal = redis.call('HINCRBY', KEYS[3], 'requests', 1)
redis.call('HINCRBY', KEYS[4], ARGV[2], 1)
redis.call('SADD', KEYS[5], ARGV[4])
local under_way = 0
for _, count in ipairs(redis.call('HVALS', KEYS[4])) do under_way = under_way + tonumber(count) end
return {'kept', position, ordinal, under_way}
