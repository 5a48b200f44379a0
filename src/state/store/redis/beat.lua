-- Says that a replica is alive, and how it is set up. Returns the replicas that have not said so for a while, each to one caller only: their
-- requests are no longer under way; and how all others are set up.
-- KEYS: replicas by the time of their last beat, the customers that have requests under way, how each replica is set up.
-- ARGV: replica, milliseconds after which one is gone, 1 when the replica has just come and has no requests under way, the keys' prefix, how
-- the replica is set up.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[5])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
for _, replica in ipairs(gone) do
  redis.call('ZREM', KEYS[1], replica)
  redis.call('HDEL', KEYS[3], replica)
end
local idle = {unpack(gone)}
if ARGV[3] == '1' then table.insert(idle, ARGV[1]) end
if #idle > 0 then
  for _, customer in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    local under_way = ARGV[4] .. 'flight:' .. customer
    for _, replica in ipairs(idle) do redis.call('HDEL', under_way, replica) end
    if redis.call('EXISTS', under_way) == 0 then redis.call('SREM', KEYS[2], customer) end
  end
end
return {gone, redis.call('HVALS', KEYS[3])}
