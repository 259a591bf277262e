# fish completion for meshd(8)
complete -c meshd -f
complete -c meshd -s h -l help -d 'show this help message and exit'
complete -c meshd -s c -l config -r -F -d 'configuration file or folder; may be repeated (default etc/meshd.yaml if it exists, else /etc/meshd/meshd.yaml)'
complete -c meshd -s t -l check -n 'not __fish_contains_opt print-config schema version' -d 'check the configuration, bind nothing, exit 0 or 65'
complete -c meshd -l print-config -n 'not __fish_contains_opt -s t check schema version' -d 'print every value with its origin, secrets masked'
complete -c meshd -l schema -n 'not __fish_contains_opt -s t check print-config version' -d 'print the JSON Schema of the configuration file'
complete -c meshd -l version -n 'not __fish_contains_opt -s t check print-config schema' -d 'print the version and which leaves are compiled'
complete -c meshd -s o -l output -x -a 'text json github' -d 'form of --check'
complete -c meshd -l log-level -x -a 'debug info warn error' -d 'lowest level logged (default info)'
complete -c meshd -l log-format -x -a 'text json' -d 'form of the log on stderr'
complete -c meshd -l color -x -a 'auto always never' -d 'colour in diagnostics'
complete -c meshd -l debug -d 'show the traceback of an unexpected error'
