#!/usr/bin/env bats
# Weights files that are malformed, and good ones that do not fit. bad_helper.bash says what is checked,
# make_bad_weights.py makes the files.

setup_file() {
    python3 "$BATS_TEST_DIRNAME/make_bad_scans.py" "$BATS_FILE_TMPDIR"
    python3 "$BATS_TEST_DIRNAME/make_bad_weights.py" "$BATS_FILE_TMPDIR"
}

setup() {
    load bad_helper
    cd "$BATS_FILE_TMPDIR" || return 1
}

@test "good weights are taken in every format, with one result" {
    for file in good.npy good.npz good.safetensors good.txt good.pt; do
        "$VOXCONV" conv good.nii -w "$file" -p 1 -o "$BATS_TEST_TMPDIR/$file.nii"
        cmp "$BATS_TEST_TMPDIR/good.npy.nii" "$BATS_TEST_TMPDIR/$file.nii"
    done
}

@test "missing" { bad_weights none.npy '.*(No such file|does not exist)'; }
@test "a directory" { bad_weights folder.npy '.*directory'; }

# ---- .npy ----
@test "npy: empty" { bad_weights empty.npy '.*empty'; }
@test "npy: bad magic" { bad_weights magic.npy '.*magic'; }
@test "npy: unknown version" { bad_weights version.npy 'version=9'; }
@test "npy: cut in the magic" { bad_weights cut_magic.npy '.*7'; }
@test "npy: cut in the header" { bad_weights cut_header.npy '.*header.*30'; }
@test "npy: header longer than the file" { bad_weights long_header.npy '.*header.*65535'; }
@test "npy: header of 4 GB" { bad_weights huge_header.npy '.*header.*4294967295'; }
@test "npy: header is no dictionary" { bad_weights not_a_dict.npy '.*header.*\[1, 2, 3\]'; }
@test "npy: no shape" { bad_weights no_shape.npy '.*shape'; }
@test "npy: header breaks off" { bad_weights no_end.npy '.*shape'; }
@test "npy: Python objects" { bad_weights object.npy '.*descr=.*\|O'; }
@test "npy: complex numbers" { bad_weights complex.npy '.*descr=.*<c8'; }
@test "npy: strings" { bad_weights string.npy '.*descr=.*<U4'; }
@test "npy: structured" { bad_weights structured.npy '.*descr'; }
@test "npy: fortran_order neither True nor False" { bad_weights bad_order.npy '.*fortran_order.*Perhaps'; }
@test "npy: negative extent" { bad_weights negative_shape.npy '.*shape.*-3'; }
@test "npy: shape whose product overflows" { bad_weights huge_shape.npy '.*shape.*4611686018427387904'; }
@test "npy: extent beyond 64 bits" { bad_weights huge_extent.npy '.*shape'; }
@test "npy: 5000 parentheses" { bad_weights nested_shape.npy '.*shape'; }
@test "npy: forty axes" { bad_weights many_axes.npy '.*shape'; }
@test "npy: no values at all" { bad_weights zero_shape.npy '.*shape.*\(0, ?1, ?3, ?3, ?3\)'; }
@test "npy: data short" { bad_weights short.npy '.*108.*107'; }
@test "npy: data in excess" { bad_weights extra.npy '.*108.*109'; }

# ---- .npz ----
@test "npz: cut" { bad_weights cut.npz '.*zip'; }
@test "npz: garbage behind a zip's magic" { bad_weights garbage.npz '.*zip'; }
@test "npz: member with a bad CRC" { bad_weights crc.npz '.*weight.*CRC'; }
@test "npz: member of an absurd size" { bad_weights absurd_size.npz '.*weight.*4294967280'; }
@test "npz: member of an absurd compressed size" { bad_weights absurd_compressed.npz '.*weight.*2147483632'; }
@test "npz: unknown compression" { bad_weights method.npz '.*(zip|weight)'; }
@test "npz: encrypted" { bad_weights encrypted.npz '.*weight.*encrypted'; }
@test "npz: damaged deflate stream" { bad_weights bad_deflate.npz '.*weight'; }
@test "npz: missing array, what there is is listed" { bad_weights no_weight.npz 'weight.*kernel.*offset'; }
@test "npz: missing prefix, what there is is listed" {
    refuses 5 'good\.npz: block\.weight.*weight' good.nii -w good.npz:block
}
@test "npz: no arrays" { bad_weights no_arrays.npz ''; }
@test "npz: a name twice" { bad_weights twice.npz '.*weight.*twice'; }
@test "npz: member that is no array" { bad_weights bad_member.npz '.*weight.*magic'; }
@test "npz: member with short data" { bad_weights short_member.npz '.*weight.*108.*104'; }

# ---- .safetensors ----
@test "safetensors: cut" { bad_weights cut.safetensors 'header.*80'; }
@test "safetensors: header longer than the file" { bad_weights long_header.safetensors 'header.*5000'; }
@test "safetensors: header of 2^60 bytes" { bad_weights huge_header.safetensors 'header.*1152921504606846976'; }
@test "safetensors: header of 2^64-1 bytes" { bad_weights negative_header.safetensors 'header.*18446744073709551615'; }
@test "safetensors: broken JSON" { bad_weights bad_json.safetensors 'header.*line 1'; }
@test "safetensors: more behind the JSON" { bad_weights trailing_json.safetensors 'header.*more'; }
@test "safetensors: 100000 brackets deep" { bad_weights deep.safetensors 'header.*depth'; }
@test "safetensors: duplicate keys" { bad_weights twice.safetensors 'header.*duplicate.*weight'; }
@test "safetensors: an entry that is none" { bad_weights not_an_entry.safetensors '.*weight.*dtype'; }
@test "safetensors: no dtype" { bad_weights no_dtype.safetensors '.*weight.*dtype'; }
@test "safetensors: integers" { bad_weights dtype.safetensors '.*weight.*dtype=I32'; }
@test "safetensors: unknown dtype" { bad_weights unknown_dtype.safetensors '.*weight.*dtype=F99'; }
@test "safetensors: shape and range disagree" { bad_weights shape.safetensors '.*weight.*0, 108.*\(1, 1, 3, 3, 4\)'; }
@test "safetensors: negative extents" { bad_weights negative_shape.safetensors '.*weight.*shape'; }
@test "safetensors: fractional extent" { bad_weights fraction_shape.safetensors '.*weight.*shape'; }
@test "safetensors: shape whose product overflows" { bad_weights huge_shape.safetensors '.*weight.*shape'; }
@test "safetensors: range past the end" { bad_weights past.safetensors '.*weight.*4, 112.*108'; }
@test "safetensors: range at 2^62" { bad_weights huge_offset.safetensors '.*weight.*4611686018427387904'; }
@test "safetensors: range backwards" { bad_weights backwards.safetensors '.*weight.*data_offsets'; }
@test "safetensors: ranges overlap" { bad_weights overlap.safetensors '.*bias.*104, 108.*overlap'; }
@test "safetensors: a hole between ranges" { bad_weights hole.safetensors '.*bias.*112, 116'; }
@test "safetensors: data in excess" { bad_weights extra.safetensors '.*108.*112'; }
@test "safetensors: missing array, what there is is listed" { bad_weights no_weight.safetensors 'weight.*kernel.*offset'; }

# ---- .pt ----
@test "pt: cut" { bad_weights cut.pt '.*zip'; }
@test "pt: storage with a bad CRC" { bad_weights storage_crc.pt '.*weight.*CRC'; }
@test "pt: pickle with a bad CRC" { bad_weights pickle_crc.pt '.*data\.pkl.*CRC'; }
@test "pt: a whole model" { bad_weights module.pt 'data\.pkl.*byte 2.*container\.Sequential.*state_dict\(\)'; }
@test "pt: a call of os.system" {
    bad_weights system.pt 'data\.pkl: byte 2: global posix\.system: .*nothing of it is run'
    [ ! -e owned ]
}
@test "pt: an instance of os.system" {
    bad_weights inst.pt 'data\.pkl: byte 19: opcode 0x69 \(INST\)'
    [ ! -e owned ]
}
@test "pt: pickle ends early" { bad_weights ended.pt 'data\.pkl: byte 14: .*STOP'; }
@test "pt: no tensors" { bad_weights no_tensor.pt '.*no tensors'; }
@test "pt: missing array, what there is is listed" { bad_weights no_weight.pt 'weight.*kernel.*offset'; }
@test "pt: view past its storage" { bad_weights past.pt '.*weight.*element 27 .*27'; }
@test "pt: negative offset" { bad_weights negative_offset.pt '.*weight.*offset'; }
@test "pt: negative stride" { bad_weights negative_stride.pt '.*weight.*stride'; }
@test "pt: stride of 2^62" { bad_weights huge_stride.pt '.*weight.*strides: too large'; }
@test "pt: storage shorter than it says" { bad_weights short_storage.pt '.*weight.*108.*28'; }
@test "pt: no such storage" { bad_weights no_storage.pt '.*weight.*data/9'; }
@test "pt: a dictionary in itself" { bad_weights cycle.pt '.*me.*contains itself'; }
@test "pt: 2^25 tensors out of one" { bad_weights bomb.pt '.*too many places'; }
@test "pt: pickle that inflates beyond the file" { bad_weights long_pickle.pt '.*data\.pkl: 1000002 bytes'; }
@test "pt: byteorder neither little nor big" { bad_weights byteorder.pt 'byteorder'; }
@test "pt: a member twice" { bad_weights twice.pt '.*data\.pkl.*twice'; }
@test "pt: TorchScript" { bad_weights script.pt '.*TorchScript.*state_dict\(\)'; }
@test "pt: of torch before 1.6" { bad_weights legacy.pt '.*before version 1\.6.*torch\.save'; }
@test "pt: a bare pickle" { bad_weights pickle.pt 'a bare pickle.*torch\.save'; }

# ---- Text ----
@test "text: blank" { bad_weights empty.txt '.*sizes'; }
@test "text: a word among the numbers" { bad_weights word.txt 'line'; }
@test "text: too few numbers" { bad_weights short.txt '.*26.*27'; }
@test "text: too many numbers" { bad_weights extra.txt '.*27'; }
@test "text: size zero" { bad_weights zero.txt 'line 1.*0'; }
@test "text: negative size" { bad_weights negative.txt 'line 1.*-3'; }
@test "text: fractional size" { bad_weights fraction.txt 'line 1.*3\.5'; }
@test "text: sizes whose product overflows" { bad_weights huge.txt '.*9999999999'; }
@test "text: a size beyond 64 bits" { bad_weights huge_extent.txt 'line 1.*99999999999999999999999'; }
@test "text: eleven sizes" { bad_weights many_sizes.txt 'line 1.*sizes'; }
@test "text: a number beyond float32" { bad_weights overflow.txt 'line 2.*1e999'; }
@test "text: binary" { bad_weights binary.txt ''; }

# ---- NIfTI as weights: the same checks as for scans, with the status of weights ----
@test "nii: voxels cut" { bad_weights short_data.nii '.*452.*1024'; }
@test "nii: gzip cut" { bad_weights gz_cut_4.nii.gz 'gzip'; }
@test "nii: bitpix wrong" { bad_weights bitpix.nii 'bitpix=8'; }
@test "nii: overflow" { bad_weights dim_overflow2.nii 'dim\[[1-3]\]=1099511627776'; }

# ---- Good files that do not fit ----
@test "weights for other channels than the scan's" { bad_weights two_in.npy '.*\(1,2,3,3,3\).*2 .*good\.nii.* 1'; }
@test "weights with one axis" { bad_weights flat.npy '.*\(27\)'; }
@test "weights with four axes" { bad_weights four_axes.npy '.*\(1,3,3,3\)'; }
@test "groups that do not divide the output channels" { bad_weights three_out.npy '.*3 .*groups.*2' -g 2; }
@test "groups that ask for more input channels" { bad_weights three_out.npy '.*3 .* 1' -g 3; }
@test "kernel_size that is not the weights'" { bad_weights good.npy '.*5.*3|.*3.*5' -k 5; }
@test "out_channels that are not the weights'" { bad_weights good.npy '.*(2.*1|1.*2)' --out-channels 2; }
@test "bias of another length" { refuses 5 'bias2\.npy: .*2.*1' good.nii -w good.npy --bias bias2.npy; }
@test "batch normalisation for other channels" {
    refuses 5 'norm2\.npz: .*2.*1' good.nii -w good.npy --batchnorm norm2.npz
}
@test "batch normalisation without running_var" {
    refuses 5 'norm_no_var\.npz: .*running_var.*running_mean' good.nii -w good.npy --batchnorm norm_no_var.npz
}
@test "batch normalisation with a negative variance" {
    refuses 5 'norm_negative\.npz: .*running_var.*-1' good.nii -w good.npy --batchnorm norm_negative.npz
}
