-- Appends a record to the history, if the subject that it was decided on is still at the version it had then, and if its author still has
-- the turn where it needs one. It knows no quota and no rule.
-- KEYS: meta, ver, log, pages, turn; then the hash of each subject.
-- ARGV: made, replica, op, max bytes of the log, token of the turn or "", number of the compared subject or 0, its version, 1 when the
-- record adds an entry to the journal, the record; then the subjects' names; then number of a subject, s|r|c, field, value.
local meta, ver, log, pages = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('HGET', meta, 'made') ~= ARGV[1] then return {'elsewhere', 0} end
if ARGV[5] ~= '' and redis.call('GET', KEYS[5]) ~= ARGV[5] then return {'late', 0} end
local subjects, compared = #KEYS - 5, tonumber(ARGV[6])
if compared > 0 then
  local version = tonumber(redis.call('HGET', ver, ARGV[9 + compared]) or '0')
  if version ~= tonumber(ARGV[7]) then return {'overtaken', version} end
end
local n = redis.call('HINCRBY', meta, 'records', 1)
local id = 0
if ARGV[8] == '1' then id = redis.call('HINCRBY', meta, 'last_id', 1) end
local at = 10 + subjects
while ARGV[at] do
  local number, kind = tonumber(ARGV[at]), ARGV[at + 1]
  local hash = KEYS[5 + number]
  if kind == 's' then redis.call('HSET', hash, ARGV[at + 2], ARGV[at + 3])
  elseif kind == 'r' then redis.call('HDEL', hash, ARGV[at + 2])
  else redis.call('DEL', hash) end
  -- A subject without fields is at version 0, however it came to that: nothing is left of a customer that was removed.
  if kind == 'c' then redis.call('HDEL', ver, ARGV[9 + number]) else redis.call('HSET', ver, ARGV[9 + number], n) end
  at = at + 4
end
if ARGV[5] ~= '' then redis.call('HSET', meta, 'config', n) end
redis.call('XADD', log, n .. '-0', 'r', ARGV[2], 'o', ARGV[3], 'i', id, 'p', ARGV[9])
-- No stream is bounded in bytes by itself: pages of 64 records are weighed, and whole ones go.
local page, weight = math.floor(n / 64), #ARGV[9] + 150
redis.call('HINCRBY', pages, page, weight)
local bytes = redis.call('HINCRBY', meta, 'bytes', weight)
if bytes > tonumber(ARGV[4]) then
  local first = tonumber(redis.call('HGET', meta, 'first_page') or '0')
  while bytes > tonumber(ARGV[4]) and first < page do
    bytes = bytes - tonumber(redis.call('HGET', pages, first) or '0')
    redis.call('HDEL', pages, first)
    first = first + 1
  end
  redis.call('HSET', meta, 'bytes', bytes, 'first_page', first)
  redis.call('XTRIM', log, 'MINID', first * 64)
end
return {'kept', n}
