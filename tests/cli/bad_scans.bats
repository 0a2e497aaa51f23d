#!/usr/bin/env bats
# Input volumes that are wrong: each is refused in one line that names file, field and value, with the kind's exit
# status, and leaves nothing behind. bad_helper.bash says what is checked, make_bad_scans.py makes the files.

setup_file() {
    python3 "$BATS_TEST_DIRNAME/make_bad_scans.py" "$BATS_FILE_TMPDIR"
}

bats_require_minimum_version 1.5.0

setup() {
    load bad_helper
    cd "$BATS_FILE_TMPDIR" || return 1
}

# The unbroken siblings are accepted: what is refused below is refused for what was broken.
@test "good scans are taken: NIfTI-1, NIfTI-2, gzip in one and two members, zero padding behind" {
    for file in good.nii good2.nii good.nii.gz two_members.nii.gz zero_padded.nii.gz; do
        "$VOXCONV" conv "$file" --kernel box:3 -f -o "$BATS_TEST_TMPDIR/$file"
    done
    gunzip -c "$BATS_TEST_TMPDIR/two_members.nii.gz" | cmp - "$BATS_TEST_TMPDIR/good.nii"
}

@test "a NaN in an sform that is not in use is no error" {
    "$VOXCONV" conv unused_sform_nan.nii --kernel box:3 -o "$BATS_TEST_TMPDIR/out.nii"
}

# ---- The file ----
@test "missing" { bad_scan 3 none.nii '.*(No such file|does not exist)'; }
@test "empty" { bad_scan 3 empty.nii '.*empty'; }
@test "a directory" { bad_scan 3 folder.nii '.*directory'; }
@test "unreadable" {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=65534 --clear-groups true 2>/dev/null || skip "root, and no setpriv to become another"
        VOXCONV_AS=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
    local folder=$BATS_TEST_TMPDIR/unreadable
    mkdir "$folder"
    cp good.nii "$folder/secret.nii"
    chmod 000 "$folder/secret.nii"
    chmod 777 "$folder"
    # The folders above are private to the user of the tests, so the file is handed over as an open descriptor
    # of its folder.
    run bash -c 'cd "$1" && shift && exec "$@"' - "$folder" ${VOXCONV_AS[@]+"${VOXCONV_AS[@]}"} \
        "$VOXCONV" conv secret.nii --kernel box:3 -o out.nii
    [ "$status" -eq 3 ]
    [[ "$output" == "voxconv: secret.nii: "*"ermission denied"* ]]
    [ "${#lines[@]}" -eq 1 ]
    [ "$(ls -A "$folder")" = secret.nii ]
}
@test "shorter than its header" { bad_scan 3 short_header.nii '.*100'; }
@test "one byte shorter than its header" { bad_scan 3 short_header_by_one.nii '.*347'; }
@test "shorter than its NIfTI-2 header" { bad_scan 3 short_header2.nii '.*539'; }
@test "shorter than its header, in gzip" { bad_scan 3 short_header.nii.gz '.*200'; }
@test "no voxels behind the header" { bad_scan 3 only_header.nii '.*352.*1024'; }
@test "voxels cut" { bad_scan 3 short_data.nii '.*452.*1024'; }
@test "voxels cut by one byte" { bad_scan 3 short_data_by_one.nii '.*1023.*1024'; }
@test "voxels cut by one byte, in gzip" { bad_scan 3 short_data.nii.gz '.*671.*672'; }

# ---- gzip ----
@test "gzip cut in its header" { bad_scan 3 gz_cut_header.nii.gz 'gzip.*header'; }
@test "gzip cut in the stream" { bad_scan 3 gz_cut_stream.nii.gz 'gzip.*(ends|cut)'; }
@test "gzip cut in the trailer by 1 byte" { bad_scan 3 gz_cut_1.nii.gz 'gzip.*7 of .*8'; }
@test "gzip cut in the trailer by 4 bytes" { bad_scan 3 gz_cut_4.nii.gz 'gzip.*4 of .*8'; }
@test "gzip cut in the trailer by 8 bytes" { bad_scan 3 gz_cut_8.nii.gz 'gzip.*0 of .*8'; }
@test "gzip CRC wrong" { bad_scan 3 gz_crc.nii.gz 'gzip.*crc32=0x'; }
@test "gzip length wrong" { bad_scan 3 gz_length.nii.gz 'gzip.*isize=1025.*1024'; }
@test "gzip CRC wrong in the first of two members" { bad_scan 3 gz_crc_first.nii.gz 'gzip member 1.*crc32=0x'; }
@test "gzip second member missing" { bad_scan 3 gz_second_missing.nii.gz '.*148.*672'; }
@test "gzip second member cut" { bad_scan 3 gz_second_cut.nii.gz 'gzip member 2.*7 of .*8'; }
@test "gzip with an impossible block" { bad_scan 3 gz_bad_block.nii.gz 'gzip.*damaged'; }
@test "gzip of nothing" { bad_scan 3 gz_empty_member.nii.gz '.*0'; }
# DESIGN, "Reading and writing": other trailing bytes are a warning.
@test "garbage behind the gzip member is one warning, and the voxels are right" {
    "$VOXCONV" conv good.nii --kernel box:3 -o "$BATS_TEST_TMPDIR/want.nii"
    run --separate-stderr "$VOXCONV" conv gz_garbage.nii.gz --kernel box:3 -o "$BATS_TEST_TMPDIR/out.nii"
    [ "$status" -eq 0 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "voxconv: warning: gz_garbage.nii.gz: "*16* ]]
    cmp "$BATS_TEST_TMPDIR/want.nii" "$BATS_TEST_TMPDIR/out.nii"
}

# The same through a pipe, where no length is known beforehand.
@test "damage is noticed on standard input too" {
    for file in empty.nii short_header.nii short_data_by_one.nii gz_cut_stream.nii.gz gz_cut_1.nii.gz \
        gz_crc.nii.gz gz_length.nii.gz gz_crc_first.nii.gz gz_second_missing.nii.gz; do
        local pattern='(-|stdin): '
        attempt 3 "$pattern" - --kernel box:3 -o "$BATS_TEST_TMPDIR/out.nii" < <(cat "$file")
        [ ! -e "$BATS_TEST_TMPDIR/out.nii" ]
    done
}

# ---- Signatures ----
@test "sizeof_hdr wrong" { bad_scan 3 sizeof_hdr.nii 'sizeof_hdr=347'; }
@test "sizeof_hdr zero" { bad_scan 3 sizeof_hdr_zero.nii 'sizeof_hdr=0'; }
@test "magic wrong" { bad_scan 3 magic.nii 'magic=.*n\+3'; }
@test "a text file" { bad_scan 3 magic_text.nii 'sizeof_hdr='; }
@test "ANALYZE, one file" { bad_scan 4 analyze.nii 'magic.*ANALYZE'; }
@test "ANALYZE, a pair" { bad_scan 4 analyze.hdr 'magic.*ANALYZE'; }
@test "NIfTI-2 signature damaged" { bad_scan 3 nifti2_signature.nii 'magic='; }
@test "NIfTI-2 magic wrong" { bad_scan 3 nifti2_magic.nii 'magic=.*n\+1'; }

# ---- dim ----
@test "dim[0] zero" { bad_scan 3 dim0_zero.nii 'dim\[0\]=0'; }
@test "dim[0] eight" { bad_scan 3 dim0_eight.nii 'dim\[0\]=8'; }
@test "dim[0] negative" { bad_scan 3 dim0_negative.nii 'dim\[0\]=-1'; }
@test "a dim of zero" { bad_scan 3 dim_zero.nii 'dim\[2\]=0'; }
@test "a negative dim" { bad_scan 3 dim_negative.nii 'dim\[3\]=-6'; }
@test "a negative NIfTI-2 dim" { bad_scan 3 dim_negative2.nii 'dim\[2\]=-4611686018427387904'; }
@test "a product that overflows" { bad_scan 3 dim_huge.nii 'dim\[[1-7]\]=32767'; }
@test "a product of NIfTI-2 dims that overflows" { bad_scan 3 dim_overflow2.nii 'dim\[[1-3]\]=1099511627776'; }
@test "a product of NIfTI-2 dims that no disk holds" { bad_scan 3 dim_large2.nii '.*1216.*2305843009213693952'; }

# ---- vox_offset ----
@test "vox_offset NaN" { bad_scan 3 offset_nan.nii 'vox_offset=-?nan'; }
@test "vox_offset infinite" { bad_scan 3 offset_inf.nii 'vox_offset=inf'; }
@test "vox_offset negative" { bad_scan 3 offset_negative.nii 'vox_offset=-352'; }
@test "vox_offset fractional" { bad_scan 3 offset_fraction.nii 'vox_offset=352\.5'; }
@test "vox_offset inside the header" { bad_scan 3 offset_inside.nii 'vox_offset=100'; }
@test "vox_offset past the end" { bad_scan 3 offset_past.nii 'vox_offset=1000000'; }
@test "vox_offset beyond any file" { bad_scan 3 offset_huge.nii 'vox_offset=1e\+30'; }
@test "NIfTI-2 vox_offset negative" { bad_scan 3 offset_negative2.nii 'vox_offset=-1'; }
@test "NIfTI-2 vox_offset past the end" { bad_scan 3 offset_past2.nii 'vox_offset=4611686018427387904'; }

# ---- datatype ----
@test "bitpix does not fit the datatype" { bad_scan 3 bitpix.nii 'bitpix=8.*16'; }
@test "bitpix zero" { bad_scan 3 bitpix_zero.nii 'bitpix=0'; }
@test "datatype unknown" { bad_scan 3 datatype_unknown.nii 'datatype=9999'; }
@test "datatype zero" { bad_scan 3 datatype_zero.nii 'datatype=0'; }
@test "datatype binary" { bad_scan 4 datatype_binary.nii 'datatype=1:'; }
@test "datatype float128" { bad_scan 4 datatype_float128.nii 'datatype=1536'; }

# ---- Extensions ----
@test "extension size under 16" { bad_scan 3 extension_eight.nii '.*esize=8'; }
@test "extension size zero" { bad_scan 3 extension_zero.nii '.*esize=0'; }
@test "extension size negative" { bad_scan 3 extension_negative.nii '.*esize=-16'; }
@test "extension size not a multiple of 16" { bad_scan 3 extension_twenty.nii '.*esize=20'; }
@test "extension past vox_offset" { bad_scan 3 extension_past.nii '.*esize=4096'; }
@test "extension of 2 GB" { bad_scan 3 extension_huge.nii '.*esize=2147483632'; }

# ---- Geometry in use ----
@test "sform NaN" { bad_scan 3 sform_nan.nii 'srow_y=.*nan'; }
@test "sform infinite" { bad_scan 3 sform_inf.nii 'srow_z=.*inf'; }
@test "qform quaternion NaN" { bad_scan 3 qform_nan.nii 'quatern_b=-?nan'; }
@test "qform offset NaN" { bad_scan 3 qform_offset_nan.nii 'qoffset_x=-?nan'; }

# ---- Pairs ----
@test ".hdr without .img" { bad_scan 3 lonely.hdr '.*lonely\.img'; }
@test ".img without .hdr" { bad_scan 3 headless.img ''; }
@test ".img too short, by the header's name" { refuses 3 'short\.img: .*670.*672' short.hdr --kernel box:3; }
@test ".img too short, by the image's name" { refuses 3 'short\.img: .*670.*672' short.img --kernel box:3; }

# ---- Tensors ----
@test "npy: a good one is taken" {
    "$VOXCONV" conv good.npy --kernel box:3 -o "$BATS_TEST_TMPDIR/good.npy"
}
@test "npy: axes in another order" { bad_scan 4 fortran.npy 'fortran_order=True'; }
@test "npy: float16" { bad_scan 4 half.npy "descr='f2': float16"; }
@test "npy: complex" { bad_scan 3 complex.npy ".*descr='<c4'.*complex"; }
@test "npy: Python objects" { bad_scan 3 objects.npy ".*descr='\\|O'.*objects"; }
@test "npy: two axes, six, none" {
    bad_scan 3 two_axes.npy 'shape=\(42, 8\): .*3 to 5 axes'
    bad_scan 3 six_axes.npy 'shape=\(1, 1, 1, 6, 7, 8\): .*3 to 5 axes'
    bad_scan 3 no_axes.npy 'shape=\(\): .*3 to 5 axes'
}
@test "npy: no values" { bad_scan 3 empty_axis.npy 'shape=\(1, 0, 6, 7, 8\): .*empty'; }
@test "npy: a negative extent" { bad_scan 3 negative.npy '.*shape.*-1'; }
@test "npy: more than 2^63 bytes" { bad_scan 3 overflow.npy 'shape=\(4294967296, 1, 4294967296, 7, 8\): '; }
@test "npy: nearly 2^63 bytes in a gzip of few" {
    refuses 4 '.*out\.nii\.gz: .*2\^63' overflow_zipped.npy --kernel box:3
}
@test "npy: data short" {
    bad_scan 3 short.npy 'size=799: too short, .* 800 .*128 and 672'
    bad_scan 3 short_zipped.npy '.*671.*672'
}
@test "npy: cut in the header, in the magic" {
    bad_scan 3 cut.npy '.*header.*30'
    bad_scan 3 cut_magic.npy '.*start.*5'
}
@test "npy: wrong magic, unknown version, no dictionary" {
    bad_scan 3 no_magic.npy '.*magic'
    bad_scan 3 version.npy 'version=7'
    bad_scan 3 words.npy '.*shape.*some'
}
@test "npy: tensors of two shapes, or with a volume" {
    refuses 3 'other_shape\.npy: shape=\(6, 7, 4\): good\.npy has \(6, 7, 8\)' good.npy other_shape.npy --init torch -k 3
    refuses 3 'good\.npy: a tensor, and good\.nii is a NIfTI volume' good.nii good.npy --init torch -k 3
    refuses 3 'good\.nii: a NIfTI volume, and good\.npy is a tensor' good.npy good.nii --init torch -k 3
}
@test "npy: what needs a geometry" {
    refuses 2 "kernel 'gaussian:2mm': .*mm" good.npy --kernel gaussian:2mm
    # shellcheck disable=SC2034 # for bad_helper.bash
    verb=augment
    refuses 4 'good\.npy: a tensor' good.npy --flip D --seed 1
    attempt 4 'out\.npy: a tensor' good.nii --flip D --seed 1 -o out.npy
    [ ! -e out.npy ]
}

# ---- Several inputs ----
@test "inputs of two grids" {
    refuses 3 'other_grid\.nii: .*5.*6' good.nii other_grid.nii --init torch -k 3
}
@test "a frame count that does not match" {
    refuses 3 'frames\.nii: .*3.*1' good.nii frames.nii --init torch -k 3
}
@test "standard input twice" { refuses 2 '(-|stdin): .*one' - - --init torch -k 3 <good.nii; }
@test "info refuses with the same status and line" {
    run --separate-stderr "$VOXCONV" info offset_nan.nii
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "voxconv: offset_nan.nii: vox_offset="* ]]
}
