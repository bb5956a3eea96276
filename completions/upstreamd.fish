# fish completion of upstreamd; made from the table of flags by tests/it/completions.rs

complete -c upstreamd -f
complete -c upstreamd -s c -l config -r -F -d 'the configuration file'
complete -c upstreamd -s l -l listen -x -d 'listen here: 127.0.0.1:4000, [::1]:4000, unix:/path; may be given several times'
complete -c upstreamd -l base-url -x -d 'where requests go: https://host/v1'
complete -c upstreamd -l log-format -x -a 'auto journal json text' -d 'auto, journal, json or text'
complete -c upstreamd -l log-level -x -a 'error warning info debug' -d 'error, warning, info or debug'
complete -c upstreamd -l print-config -d 'print the checked configuration as TOML, secrets masked, and exit'
complete -c upstreamd -l admin -r -F -d 'with reload: the admin socket of the daemon, if not /run/upstreamd/admin.sock'
complete -c upstreamd -l at -x -d 'with health: ask here, and not at the first address that is configured'
complete -c upstreamd -l plain -d 'store the key as it is, not encrypted'
complete -c upstreamd -l no-restart -d 'leave it to you to restart the service, which uses the keys that it was started with'
complete -c upstreamd -s V -l version -d 'print the version and exit'
complete -c upstreamd -s h -l help -d 'print this help and exit'
complete -c upstreamd -n 'not __fish_seen_subcommand_from check reload health key' -a check -d 'check the configuration, and exit'
complete -c upstreamd -n 'not __fish_seen_subcommand_from check reload health key' -a reload -d 'have the running daemon reload'
complete -c upstreamd -n 'not __fish_seen_subcommand_from check reload health key' -a health -d 'ask whether the daemon serves'
complete -c upstreamd -n 'not __fish_seen_subcommand_from check reload health key' -a key -d 'more behind it'
complete -c upstreamd -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from set list remove' -a set -d 'store a key, read from standard input'
complete -c upstreamd -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from set list remove' -a list -d 'list the keys that are stored or named'
complete -c upstreamd -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from set list remove' -a remove -d 'remove a stored key'
complete -c upstreamd -n '__fish_seen_subcommand_from check' -F
