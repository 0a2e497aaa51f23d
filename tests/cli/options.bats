#!/usr/bin/env bats
# The option parser, help, version and the statuses of what makes no sense.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

@test "help names every command and ends with 0" {
    for command in conv info kernel; do
        vox --help
        [ "$status" -eq 0 ]
        [[ $output = *"  $command "* ]]
        vox "$command" --help
        [ "$status" -eq 0 ]
        [[ ${lines[0]} = "Usage: voxconv $command "* ]]
    done
}

@test "no line of help is wider than 100 columns" {
    for command in conv info kernel; do
        vox "$command" --help
        for line in "${lines[@]}"; do
            echo "$line"
            [ "${#line}" -le 100 ]
        done
    done
}

@test "version says which one, what it computes with and what inflates" {
    vox --version
    [ "$status" -eq 0 ]
    [[ ${lines[0]} =~ ^voxconv\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    [[ $output = *"portable"* ]]
    [[ ${lines[2]} =~ ^gzip:\ (isal|zlib)$ ]]
    vox conv --version
    [ "$status" -eq 0 ]
    [[ ${lines[0]} = "voxconv "* ]]
}

@test "a missing or unknown command is a usage error with a hint" {
    vox
    fails 2 "voxconv --help"
    vox cnov
    fails 2 "did you mean 'conv'?"
    vox scan.nii.gz
    fails 2 "scan.nii.gz: unknown command"
}

@test "an unknown option is a usage error with a hint" {
    vox conv --strude 2
    fails 2 "did you mean --stride?"
    vox conv --nonsense
    fails 2 "--nonsense: unknown option; see 'voxconv conv --help'"
    vox conv -Q
    fails 2 "-Q: unknown option"
    vox conv --pad 1
    fails 2 "could be any of 2 options"
    vox conv --force=yes
    fails 2 "takes no argument"
    vox conv a.nii -o
    fails 2 "--output: needs an argument"
}

@test "a malformed value is a usage error that names option and value" {
    while read -r option value reason; do
        vox conv "$option" "$value"
        fails 2 "$option $value: "
        [[ $output = *"$reason"* ]]
    done <<-'END'
	--stride 0 must be 1 or more
	--stride -1 must be 1 or more
	--stride 1,2 three as D,H,W
	--stride 1,2,3,4 three as D,H,W
	--stride 1,,2 three as D,H,W
	--stride 1,2,0 must be 1 or more
	--stride 99999999999999999999 whole number
	--stride 3000000000 must be 2147483647 or less
	--kernel-size 3x whole number
	--kernel-size 3.0 whole number
	--dilation 0x2 whole number
	--groups 0 must be 1 or more
	--out-channels -3 must be 1 or more
	--threads 0 must be 1 or more
	--threads two whole number
	--threads 5000 must be 4096 or less
	--slab 0 must be 1 or more
	--patch-size 0 must be 1 or more
	--patch-size 3,4 three as D,H,W
	--overlap 1.5 whole voxels, or a share of the patch below 1
	--overlap -1 whole voxels
	--overlap 0.5,0.5 three as D,H,W
	--blend mean exact, average, or gaussian
	--blend gaussian:0 a number above 0
	--blend average:2 exact, average, or gaussian
	--seed -1 must be 0 or more
	--compression 10 must be 9 or less
	--max-memory 0 512M or 1.5G
	--max-memory 3Q 512M or 1.5G
	--max-memory -1G 512M or 1.5G
	--max-memory nan 512M or 1.5G
	--padding sames same_upper
	--padding -1 0 or more
	--padding-mode mirror zeros, reflect, replicate, circular
	--init xavier kaiming_uniform
	--normalize max none, sum, abs
	--weights-layout tf torch, keras
	--time frames auto, batch, channels
	--progress yes auto, always, never
	--batchnorm-eps -1 0 or more
	--batchnorm-eps inf 0 or more
	--activation swoosh relu
	--activation relu:1 takes no number
	--activation elu:x must be a number
	--activation elu: must be a number
	--activation elu:1,2 must be a number
	--activation clip:1,x or two as A,B
	--activation clip:0,1,2 or two as A,B
	--activation relu6:6 takes no number
	--max-pool 0 1 or more
	--max-pool 2:stride=0 1 or more
	--max-pool 2:padding=-1 0 or more
	--max-pool 2:count_include_pad=0 dilation=D
	--avg-pool 2:dilation=2 count_include_pad
	--avg-pool 2:ceil_mode=2 ceil_mode
	--avg-pool 2: must be
	--avg-pool two the kernel
	--datatype float31 NIfTI type
	END
}

@test "an empty value is a usage error" {
    for option in --output --weights --kernel --stride --padding --max-memory --activation; do
        vox conv $option ''
        echo "$option: $output"
        [ "$status" -eq 2 ]
        [ "${#lines[@]}" -eq 1 ]
    done
}

@test "options that contradict each other are usage errors" {
    volume in.nii 3,3,3
    vox conv -o out.nii --kernel box:3
    fails 2 "an input file is missing"
    vox conv in.nii --kernel box:3
    fails 2 "--output is missing"
    vox conv in.nii -o out.nii
    fails 2 "one of --weights, --kernel or --init"
    vox conv in.nii -o out.nii --kernel box:3 --init torch -k 3
    fails 2 "only one of --weights, --kernel and --init"
    vox conv in.nii -o out.nii --init torch
    fails 2 "--init needs --kernel-size"
    vox conv in.nii -o out.nii --kernel box:3 --seed 1
    fails 2 "--seed goes with --init"
    vox conv in.nii -o out.nii --kernel box:3 --weights-layout keras
    fails 2 "--weights-layout goes with --weights"
    vox conv in.nii -o out.nii --kernel box:3 --groups 2
    fails 2 "--groups does not go with --kernel"
    vox conv in.nii -o out.nii --kernel box:3 --no-bias --bias b.txt
    fails 2 "--bias and --no-bias"
    vox conv in.nii -o out.nii --kernel box:3 --batchnorm-eps 1
    fails 2 "--batchnorm-eps goes with --batchnorm"
    vox conv in.nii -o out.nii --kernel box:3 --max-pool 2 --avg-pool 2
    fails 2 "only one of --max-pool and --avg-pool"
    vox conv in.nii -o - --kernel box:3 --json
    fails 2 "--json prints on stdout"
    [ ! -e out.nii ]
}

@test "options may follow or precede operands, -- ends them" {
    volume ./-in.nii 3,1,1
    vox conv --kernel identity -o out.nii -- -in.nii
    [ "$status" -eq 0 ]
    [ "$(voxels out.nii)" = "1 2 3" ]
    mv ./-in.nii in.nii
    gives "1 2 3" in.nii --kernel identity
    gives "1 2 3" --kernel identity in.nii
}

@test "a later option wins" {
    volume in.nii 3,1,1
    gives "1 3" in.nii --kernel identity -s 3 -s 1,1,2
}

@test "control characters of a file name do not reach the terminal" {
    vox info $'no\e[31mfile'
    fails 3 'no?[31mfile'
}
