local call, key = redis.call, KEYS[1]
local seen = call('GETRANGE', key, 1, 9)
if seen:sub(2) == ARGV[1] and seen:byte() < 16 then
  call('SET', key, ARGV[2], 'PX', ARGV[3])
  return 1
end
return call('GET', key)
