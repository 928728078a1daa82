local call, old = redis.call, KEYS[1]
local seen = call('GETRANGE', old, 1, 9)
if seen:sub(2) == ARGV[1] and seen:byte() < 16 then
  call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
  call('SET', old, ARGV[2], 'PX', ARGV[3])
  return 1
end
return call('GET', old)
