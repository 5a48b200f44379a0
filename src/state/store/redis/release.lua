-- Gives a turn back (ARGV[2] = 0), or keeps it for so many milliseconds more, if it is still this one's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
