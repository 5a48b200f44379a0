-- Returns everything but the log, at one moment: meta, and for each subject its name, its version, and its fields and values.
-- KEYS: meta, ver. ARGV: the keys' prefix.
local all, versions = {redis.call('HGETALL', KEYS[1])}, redis.call('HGETALL', KEYS[2])
for at = 1, #versions, 2 do
  all[#all + 1] = {versions[at], versions[at + 1], redis.call('HGETALL', ARGV[1] .. 's:' .. versions[at])}
end
return all
