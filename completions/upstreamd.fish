# fish completion of upstreamd; made from the table of flags by tests/it/completions.rs

complete -c upstreamd -f
complete -c upstreamd -s c -l config -r -F -d 'the configuration file'
complete -c upstreamd -s l -l listen -x -d 'listen here: 127.0.0.1:4000, [::1]:4000, unix:/path; may be given several times'
complete -c upstreamd -l base-url -x -d 'where requests go: https://host/v1'
complete -c upstreamd -l log-format -x -a 'auto journal json text' -d 'auto, journal, json or text'
complete -c upstreamd -l log-level -x -a 'error warning info debug' -d 'error, warning, info or debug'
complete -c upstreamd -l print-config -d 'print the checked configuration as TOML, secrets masked, and exit'
complete -c upstreamd -s V -l version -d 'print the version and exit'
complete -c upstreamd -s h -l help -d 'print this help and exit'
complete -c upstreamd -n 'not __fish_seen_subcommand_from check' -a check -d 'check the configuration, and exit'
complete -c upstreamd -n '__fish_seen_subcommand_from check' -F
