# Reads the events of "go test -json"; prints a line for each package, and in full what was said by tests that failed
# or were skipped.
foreach inputs as $event ({said: {}};
	($event.Package // "") as $package
	| ($event.Test // "") as $test
	| .print = ""
	| if $event.Action == "build-output" then
		.print = $event.Output
	elif $event.Action == "output" and $test == "" then
		if $event.Output == "PASS\n" or $event.Output == "FAIL\n" then . else .print = $event.Output end
	elif $event.Action == "output" then
		if $event.Output | startswith("=== ") then . else .said[$package][$test] += $event.Output end
	elif $event.Action == "fail" and $test == "" then
		# A test that panicked or hung has no event of its own.
		.print = (.said[$package] // {} | add // "") | del(.said[$package])
	elif $event.Action == "fail" or $event.Action == "skip" then
		.print = .said[$package][$test] | del(.said[$package][$test])
	elif $event.Action == "pass" then
		del(.said[$package][$test])
	else . end;
	.print // "")
