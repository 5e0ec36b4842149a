# What a login is, one fact a line. For ana's shell, by both ssh servers.
exec >"/check/out/$1"
echo "loginuid=$(cat /proc/self/loginuid)"
echo "session=$XDG_SESSION_ID"
echo "cgroup=$(cat /proc/self/cgroup)"
echo "user=$(id -un)"
echo "group=$(id -gn)"
echo "groups=$(id -Gn | tr ' ' '\n' | sort | tr '\n' ' ')"
echo "umask=$(umask)"
echo "directory=$(pwd)"
ulimit -Sa | sed 's/^\(.*)\) */soft \1=/'
ulimit -Ha | sed 's/^\(.*)\) */hard \1=/'
grep -E '^(Sig(Blk|Ign)|Cap|NoNewPrivs|Seccomp:)' /proc/self/status | sed 's/:\t/=/'
echo "oom=$(cat /proc/self/oom_score_adj)"
echo "nice=$(ps -o ni= -p $$)"
echo "descriptors=$(ls /proc/$$/fd | tr '\n' ' ')"
for n in mnt net pid user uts ipc cgroup; do echo "ns $n=$(readlink /proc/self/ns/$n)"; done
env | sed 's/^/env /'
loginctl show-session "$XDG_SESSION_ID" -p Name -p User -p Remote -p RemoteHost -p Service -p Scope -p Type -p Class -p Active -p State -p TTY -p Leader | sed 's/^/session /'
