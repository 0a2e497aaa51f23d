#!/usr/bin/env bats
# Models that are malformed, or do not fit the scan, their weights or the options. bad_helper.bash says what is
# checked, make_models.py makes the TensorFlow.js models.

setup_file() {
    python3 -B "$BATS_TEST_DIRNAME/make_models.py" "$BATS_FILE_TMPDIR"
    printf 'input channels=1\nconv3d net.a out_channels=2 kernel_size=1,3,3\n' >"$BATS_FILE_TMPDIR/good.txt"
}

setup() {
    load bad_helper
    # shellcheck disable=SC2034 # for bad_helper.bash
    verb=run
    cd "$BATS_FILE_TMPDIR" || return 1
}

# A TensorFlow.js model that is wrong, over a scan that is right.
bad_model() {
    local wanted=$1 name=$2 pattern=$3
    refuses "$wanted" "bad/$name/.*: $pattern" "bad/$name/model.json" in.nii
}

# bad_network STATUS PATTERN LINE...: a text network whose lines are wrong.
bad_network() {
    local wanted=$1 pattern=$2
    shift 2
    printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/net.txt"
    refuses "$wanted" "$BATS_TEST_TMPDIR/net\.txt:$pattern" "$BATS_TEST_TMPDIR/net.txt" in.nii --init
}

# bad_line STATUS PATTERN LINE: a wrong second line.
bad_line() {
    bad_network "$1" "2: $2" 'input channels=1' "$3" relu
}

@test "good models are taken" {
    "$VOXCONV" run bad/good/model.json in.nii -o "$BATS_TEST_TMPDIR/good.nii"
    "$VOXCONV" run good.txt in.nii -w weights.npz -o "$BATS_TEST_TMPDIR/good.nii" -f
}

# ---- Files that are no model ----
@test "missing" { refuses 5 'none\.txt: .*No such file' none.txt in.nii --init; }
@test "a directory" { refuses 5 'bad: .*directory' bad in.nii; }
@test "empty" {
    : >empty
    refuses 5 'empty: .*empty' empty in.nii --init
}
@test "binary" {
    printf 'in\201\001\377' >binary
    refuses 4 'binary: neither' binary in.nii --init
    refuses 4 'weights\.npz: neither' weights.npz in.nii --init
    refuses 4 'in\.nii: neither' in.nii in.nii --init
}
@test "text, then binary" {
    { printf 'input channels=1\n# more than the bytes that are looked at to tell the formats apart\n' && printf 'relu\0\n'; } >later
    refuses 5 'later: byte 0 in line 3' later in.nii --init
}
@test "a pipe" {
    mkfifo fifo
    refuses 5 'fifo: not a regular file' fifo in.nii --init
    refuses 5 '-: not a regular file' - in.nii --init
}

# ---- model.json ----
@test "JSON that breaks off" { bad_model 5 json_broken 'line 11'; }
@test "JSON 100000 brackets deep" { bad_model 5 json_deep '.*depth'; }
@test "JSON with a key twice" { bad_model 5 json_twice 'line 2: duplicate.*format'; }
@test "JSON that is something else" { bad_model 5 json_list 'modelTopology'; }
@test "no topology" { bad_model 5 no_topology 'modelTopology'; }
@test "no layers" { bad_model 5 no_layers 'layers: missing'; }
@test "no weights" { bad_model 5 no_manifest 'weightsManifest: missing'; }

@test "shard too short" { bad_model 5 shard_short ".*out/bias.* 240 bytes"; }
@test "shard too long" { bad_model 5 shard_long '.*248.*244'; }
@test "shard missing" { bad_model 5 shard_missing '.*No such file'; }
@test "shard above the model's folder" { bad_model 5 path_up '.*\.\./good.*out of the model'; }
@test "shard above the model's folder by a detour" { bad_model 5 path_up_later '.*x/\.\./\.\./good.*out of the model'; }
@test "shard anywhere" { bad_model 5 path_root '.*/etc/hostname.*out of the model'; }
@test "shard named by a number" { bad_model 5 path_number '.*path'; }

@test "weight missing" { bad_model 5 weight_missing "layer 'a': no weight a/kernel"; }
@test "weight of another shape" { bad_model 5 weight_shape '.*a/kernel.*\(3, 3, 1, 1, 2\).*\(1, 3, 3, 1, 2\)'; }
@test "weight with negative extents" { bad_model 5 weight_negative '.*a/kernel.*shape.*-3'; }
@test "weight without values" { bad_model 5 weight_empty '.*a/kernel.*shape.*0'; }
@test "weight whose product overflows" { bad_model 5 weight_huge '.*a/kernel.*shape'; }
@test "weight without a name" { bad_model 5 weight_nameless '.*name'; }
@test "weight of an unknown type" { bad_model 4 weight_dtype '.*a/kernel.*dtype'; }

@test "unknown layer" { bad_model 4 class_unknown "layer 'a': class_name=Lambda"; }
@test "layer without a config" { bad_model 5 no_config 'layer 6.*config'; }
@test "layers in a circle" { bad_model 5 cycle '.*circle'; }
@test "inbound_nodes that names no layer" { bad_model 5 inbound_unknown "layer 'n': inbound_nodes"; }
@test "a layer that is called twice" { bad_model 5 inbound_twice "layer 'n': inbound_nodes"; }
@test "an output that is no layer" { bad_model 5 output_unknown 'output_layers'; }
@test "two outputs" { bad_model 4 two_outputs 'output_layers'; }
@test "two inputs" { bad_model 4 two_inputs '2 inputs'; }
@test "an input of a picture" { bad_model 4 input_2d 'batch_input_shape: 4'; }
@test "an input of a negative extent" { bad_model 5 input_negative 'batch_input_shape'; }
@test "channels that a convolution does not fit" { bad_model 5 channels_conv ".*out/kernel.*\(1, 2, 1, 3, 3\).*'out'.*\(1, 2, 1, 2, 3\)"; }
@test "channels that a normalisation does not fit" { bad_model 5 channels_norm ".*\(2,\).*'n'.*\(1,\)"; }
@test "sizes that cannot be added" { bad_model 5 sizes_add "layer 'sum': add: .*2x2x5x6.*2x4x5x6"; }
@test "groups that do not divide the channels" { bad_model 5 groups "layer 'b': .*groups"; }
@test "a stride of zero" { bad_model 5 strides_zero "layer 'out': strides"; }
@test "a dilation of 2^40" { bad_model 5 dilation_huge "layer 'b': dilation_rate"; }
@test "a window larger than the scan" { bad_model 5 kernel_larger_than_scan "layer 'pool': .*9.*4"; }
@test "unknown padding" { bad_model 4 padding_unknown "layer 'b': padding"; }
@test "unknown activation" { bad_model 4 activation_unknown "layer 'a': activation=snake"; }
@test "an activation that is an object" { bad_model 4 activation_object "layer 'a': activation"; }
@test "channels_first" { bad_model 4 channels_first "layer 'a': data_format=channels_first"; }
@test "normalisation along an axis of space" { bad_model 4 norm_axis "layer 'n': axis"; }
@test "a vector where a volume is wanted" { bad_model 5 flat_conv "layer 'late': takes a volume"; }
@test "a flattened volume where its order matters" {
    bad_model 4 flat_norm "layer 'n': a flattened volume"
    bad_model 4 flat_softmax "layer 'late': softmax of a flattened volume"
    bad_model 4 flat_output "layer 'out': a flattened volume as the output"
}
@test "a Dense layer without its weight, and without units" {
    bad_model 5 dense_weight "layer 'late': no weight late/kernel"
    bad_model 5 dense_units "layer 'late': units"
}
@test "cropping that leaves nothing, or is no crop" {
    bad_model 5 crop_all "layer 'late': cropping: leaves nothing"
    bad_model 5 crop_negative "layer 'late': cropping: must be 0 to"
    bad_model 5 pad_text "layer 'late': padding: must be 0 to"
}
@test "upsampling by zero" { bad_model 5 size_zero "layer 'late': size: must be 1 to"; }
@test "a transposed convolution that TensorFlow has not" {
    bad_model 4 transposed_padding "layer 'late': padding: neither"
    bad_model 4 transposed_output "layer 'late': output_padding"
    bad_model 5 transposed_weight "layer 'late': no weight late/kernel"
}
@test "pooling with unknown padding" { bad_model 4 pool_padding "layer 'pool': padding: neither"; }
@test "a scan without the model's channels" {
    refuses 2 'in\.nii: .*2 input channels, in\.nii has 1' bad/input_channels/model.json in.nii
}
@test "a scan that is damaged" {
    head -c 400 in.nii >short.nii
    refuses 3 'short\.nii: ' functional/model.json short.nii
}

# ---- ONNX ----

# bad_onnx STATUS NAME PATTERN: what stands in onnx/inside/NAME.onnx.
bad_onnx() {
    refuses "$1" "onnx/inside/$2\.onnx: $3" "onnx/inside/$2.onnx" in.nii
}

@test "onnx: good models are taken" {
    "$VOXCONV" run onnx/inside/good.onnx in.nii -o "$BATS_TEST_TMPDIR/good.nii"
    "$VOXCONV" run onnx/inside/external.onnx in.nii -o "$BATS_TEST_TMPDIR/external.nii"
    cmp "$BATS_TEST_TMPDIR/good.nii" "$BATS_TEST_TMPDIR/external.nii"
}
@test "onnx: an operator that is not served, with its node and the opset" {
    bad_onnx 4 operator "node 'y' \(NonMaxSuppression, opset 13\): .*not served"
}
@test "onnx: an opset to come" { bad_onnx 4 opset 'opset=99: opsets 6 to 20'; }
@test "onnx: cut in the middle, nothing but a version, noise" {
    bad_onnx 5 cut '.*(do not parse|no graph)'
    bad_onnx 5 version_only '.*no graph'
    bad_onnx 5 noise '.*do not parse'
}
@test "onnx: a circle" { bad_onnx 5 cycle "node 'c' \(Add, opset 13\): its input 'y' .*cycle"; }
@test "onnx: a name that two nodes make, and one that none does" {
    bad_onnx 5 twice "'y': .*twice"
    bad_onnx 5 nowhere "node 'c' \(Conv, opset 13\): its input 'bias' is nowhere"
}
@test "onnx: initializers of another size than their shape" {
    bad_onnx 5 short_initializer "initializer 'w': 4 bytes.* 8"
    bad_onnx 5 long_initializer "initializer 'w': 12 bytes.* 8"
    bad_onnx 5 huge_initializer "initializer 'w': .*1099511627776: not a possible size"
}
@test "onnx: weights that fit no volume" {
    bad_onnx 5 three_axes "node 'c' \(Conv, opset 13\): .*"
    refuses 5 "onnx/inside/channels\.onnx: node 'c' \(Conv, opset 13\): .*2.*1" onnx/inside/channels.onnx in.nii
}
@test "onnx: external data outside of the model's folder" {
    bad_onnx 5 above '.*\.\./outside\.bin: leads out'
    bad_onnx 5 above_later '.*outside\.bin: leads out'
    bad_onnx 5 root '.*/etc/hostname: leads out'
    bad_onnx 5 link '.*link\.bin: a link that leads out'
}
@test "onnx: external data that are not there" {
    bad_onnx 5 no_file '.*none\.bin: No such file'
    bad_onnx 5 short_file '.*offset=4: 8 bytes .* 8 in all'
}
@test "onnx: names that it does not have, or needs" {
    bad_onnx 4 two_inputs "'w' and 'x' are both inputs without a value.*--input"
    refuses 2 "onnx/inside/two_outputs\.onnx: 'z': no output of that name; it has y, c" onnx/inside/two_outputs.onnx in.nii \
        --output-name z
    refuses 2 "onnx/inside/two_inputs\.onnx: 'v': no input of that name; it has x, w" onnx/inside/two_inputs.onnx in.nii \
        --input v=in.nii
    refuses 5 'none\.npy: .*No such file' onnx/inside/two_inputs.onnx in.nii --input w=none.npy
    refuses 5 'weights\.npz: .*net\.' onnx/inside/two_inputs.onnx in.nii --input w=weights.npz
    refuses 2 '--input w: must be NAME=FILE' onnx/inside/two_inputs.onnx in.nii --input w
    refuses 2 '--input =w: must be NAME=FILE' onnx/inside/two_inputs.onnx in.nii --input =w
    refuses 2 'good\.txt: a text model: .*ONNX' good.txt in.nii --init --output-name z
    refuses 2 'functional/model\.json: a TensorFlow\.js model: .*ONNX' functional/model.json in.nii --output-name z
}
@test "a model of few bytes that inflates without an end" {
    head -c 100M /dev/zero | tr '\0' ' ' | gzip -1 >bomb.txt
    refuses 5 'bomb\.txt: inflates to more than 67108864 bytes' bomb.txt in.nii --init
    gzip -c onnx/inside/good.onnx >onnx/inside/zipped.onnx
    "$VOXCONV" run onnx/inside/zipped.onnx in.nii -o "$BATS_TEST_TMPDIR/zipped.nii"
}

# ---- Text networks: the file ----
@test "text: no input line" {
    printf 'relu\n' >no_input.txt
    refuses 5 'no_input\.txt: .*input channels=N' no_input.txt in.nii --init
    printf '# nothing\n\n' >nothing.txt
    refuses 5 'nothing\.txt: .*input channels=N' nothing.txt in.nii --init
}
@test "text: a second input line" { bad_network 5 '3: a second input' 'input channels=1' relu 'input channels=1'; }
@test "text: unknown layer" { bad_line 4 'conv4d: no such layer' 'conv4d a out_channels=1 kernel_size=1'; }
@test "text: unknown parameter" { bad_line 5 'relu: slope=1: no such parameter' 'relu slope=1'; }
@test "text: parameter given twice" { bad_line 5 'maxpool3d: kernel_size=3: given twice' 'maxpool3d kernel_size=2 kernel_size=3'; }
@test "text: name behind a parameter" { bad_line 5 'conv3d: a: names' 'conv3d out_channels=1 kernel_size=1 a'; }
@test "text: a name too many" { bad_line 5 'relu: 2 names: must be 0 to 1' 'relu a b'; }
@test "text: a name too few" { bad_line 5 'add: 0 names: must be 1 to 1' 'add'; }
@test "text: 40 words" {
    bad_line 5 'more than 32 words' "cat $(printf '. %.0s' {1..40})"
}
@test "text: no number" { bad_line 5 'conv3d: stride=two: must be a whole number' 'conv3d a out_channels=1 kernel_size=1 stride=two'; }
@test "text: two numbers" { bad_line 5 'conv3d: stride=1,2: must be' 'conv3d a out_channels=1 kernel_size=1 stride=1,2'; }
@test "text: four numbers" { bad_line 5 'conv3d: stride=1,2,3,4: must be' 'conv3d a out_channels=1 kernel_size=1 stride=1,2,3,4'; }
@test "text: a number beyond 2^20" { bad_line 5 'conv3d: out_channels=99999999999999999999: must be' 'conv3d a out_channels=99999999999999999999 kernel_size=1'; }
@test "text: a negative number" { bad_line 5 'maxpool3d: padding=-1: must be' 'maxpool3d kernel_size=2 padding=-1'; }
@test "text: no real number" { bad_line 5 'elu: alpha=1,5: must be a number' 'elu alpha=1,5'; }
@test "text: neither true nor false" { bad_line 5 'conv3d: bias=maybe: must be' 'conv3d a out_channels=1 kernel_size=1 bias=maybe'; }
@test "text: unknown padding" { bad_line 5 'conv3d: padding=some: must be' 'conv3d a out_channels=1 kernel_size=1 padding=some'; }
@test "text: unknown padding_mode" { bad_line 5 'conv3d: padding_mode=mirror: must be' 'conv3d a out_channels=1 kernel_size=1 padding_mode=mirror'; }

# ---- Text networks: the layers ----
@test "text: parameters that must be given" {
    bad_line 5 'conv3d: .*must be given' 'conv3d a out_channels=1'
    bad_line 5 'conv3d: .*must be given' 'conv3d a kernel_size=1'
    bad_line 5 'maxpool3d: .*must be given' 'maxpool3d'
}
@test "text: channels that do not fit" {
    bad_line 5 'conv3d: in_channels=3: the value before has 1' 'conv3d a in_channels=3 out_channels=1 kernel_size=1'
    bad_line 5 'batchnorm3d: num_features=3: the value before has 1' 'batchnorm3d n num_features=3'
    bad_line 5 'conv3d: groups must divide' 'conv3d a out_channels=2 kernel_size=1 groups=2'
    bad_network 5 '5: add: .*2x4x5x6.*3x4x5x6' 'input channels=1' 'conv3d a out_channels=3 kernel_size=1' 'save a' \
        'conv3d b out_channels=2 kernel_size=1' 'add a'
}
@test "text: sizes that do not fit" {
    bad_network 5 '4: cat: |4: concat: .*2 and 4 along D' 'input channels=1' 'save x' 'maxpool3d kernel_size=2' 'cat . x'
    bad_line 5 'conv3d: kernel_size=7.*4' 'conv3d a out_channels=1 kernel_size=7'
}
@test "text: zero" {
    bad_line 5 'conv3d: kernel_size=0' 'conv3d a out_channels=1 kernel_size=0'
    bad_line 5 'conv3d: stride=0' 'conv3d a out_channels=1 kernel_size=1 stride=0'
    bad_line 5 'maxpool3d: .*stride=0' 'maxpool3d kernel_size=2 stride=0'
}
@test "text: softmax along a spatial axis" { bad_line 5 'softmax: dim must be 1' 'softmax dim=2'; }
@test "text: a name that was not saved" {
    bad_line 5 'from x: nothing was saved' 'from x'
    bad_network 5 '2: add x: nothing was saved' 'input channels=1' 'add x' 'save x'
}
@test "text: more weights than can be counted" {
    printf 'input channels=1\nconv3d a out_channels=1048576 kernel_size=1048576\n' >huge.txt
    refuses 5 'huge\.txt:2: .*too large' huge.txt in.nii --init
}
@test "text: more weights than memory" {
    [ -z "${VOXCONV_SANITIZED:-}" ] || skip "the sanitizer reports allocations that fail"
    printf 'input channels=1\nconv3d a out_channels=1048576 kernel_size=1000\n' >large.txt
    refuses 7 '.*memory' large.txt in.nii --init
}

# ---- Text networks: their weights ----
@test "text: no weights" { refuses 2 'good\.txt: .*--weights FILE or --init' good.txt in.nii; }
@test "text: weights that are missing" { refuses 5 'none\.npz: .*No such file' good.txt in.nii -w none.npz; }
@test "text: an array that is missing" {
    printf 'input channels=1\nconv3d x out_channels=2 kernel_size=1\n' >other.txt
    refuses 5 'weights\.npz: .*x\.weight.*net\.a\.weight' other.txt in.nii -w weights.npz
    refuses 5 'weights\.safetensors: .*x\.weight.*net\.a\.weight' other.txt in.nii -w weights.safetensors
    refuses 5 'weights\.npz: .*module\.net\.a\.weight' good.txt in.nii -w weights.npz:module
    printf 'input channels=1\nconv3d net.a out_channels=2 kernel_size=1,3,3\nconv3d net.b out_channels=2 kernel_size=3,1,1\n' >bias.txt
    refuses 5 'weights\.npz: .*net\.b\.bias' bias.txt in.nii -w weights.npz
}
@test "text: an array of another shape" {
    printf 'input channels=1\nconv3d net.a out_channels=2 kernel_size=3\n' >shape.txt
    refuses 5 "weights\.npz: .*net\.a\.weight.*\(2, 1, 1, 3, 3\): line 2 of shape\.txt needs \(2, 1, 3, 3, 3\)" shape.txt in.nii \
        -w weights.npz
}
@test "text: a layer that has no name" {
    printf 'input channels=1\nconv3d out_channels=2 kernel_size=3\n' >nameless.txt
    refuses 5 'nameless\.txt:2: conv3d: a name is missing' nameless.txt in.nii -w weights.npz
}

# ---- Options ----
@test "options that do nothing, or contradict each other" {
    refuses 2 'run: only one of --weights and --init' good.txt in.nii -w weights.npz --init
    refuses 2 'run: --seed goes with --init' good.txt in.nii -w weights.npz --seed 1
    refuses 2 'good\.txt: .*axes' good.txt in.nii --init --axes whd
    refuses 2 'functional/model\.json: .*own weights' functional/model.json in.nii --init
    refuses 2 'functional/model\.json: .*own weights' functional/model.json in.nii -w weights.npz
    refuses 2 '--axes hwd: .*dhw, whd' functional/model.json in.nii --axes hwd
    refuses 2 'run: an input file is missing' functional/model.json
    refuses 2 'run: a model is missing'
    refuses 7 'in\.nii: max-memory=' good.txt in.nii --init -m 1K
    run "$VOXCONV" run functional/model.json in.nii
    [ "$status" -eq 2 ]
}
