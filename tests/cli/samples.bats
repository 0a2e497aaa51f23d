#!/usr/bin/env bats
# data/samples: the program that wrote the volumes writes the same bytes again, and they are what the README says.

setup() {
    : "${VOXCONV:=$BATS_TEST_DIRNAME/../../build/voxconv}"
    : "${VOXCONV_BUILD:=$BATS_TEST_DIRNAME/../../build}"
    samples=$BATS_TEST_DIRNAME/../../data/samples
}

@test "phantom writes the committed samples bit for bit" {
    "$VOXCONV_BUILD/phantom" "$BATS_TEST_TMPDIR"
    for name in ct mri frames; do
        cmp "$samples/$name.nii.gz" "$BATS_TEST_TMPDIR/$name.nii.gz"
    done
}

@test "the samples together are under 1 MB" {
    [ "$(cat "$samples"/* | wc -c)" -lt 1000000 ]
}

# The expected values are the ones that phantom.c writes down.
@test "the CT is int16 HU with slope and intercept, anisotropic, with an oblique sform" {
    run "$VOXCONV" info --json "$samples/ct.nii.gz"
    jq -e '.datatype_name == "int16" and .scl_slope == 0.5 and .scl_inter == -1024' <<<"$output"
    jq -e '.sform_code == 1 and .pixdim[1] < 2.3 and .pixdim[3] > 5.7' <<<"$output"
    # Oblique: every axis of the grid has a part along every axis of the scanner.
    jq -e '[.srow[][0:3][] | fabs > 0.4] | all' <<<"$output"
}

@test "the MRI is uint8 and has a qform only" {
    run "$VOXCONV" info --json "$samples/mri.nii.gz"
    jq -e '.datatype_name == "uint8" and .sform_code == 0 and .qform_code == 1' <<<"$output"
}

@test "the frames are 4-D, five of 2.5 s" {
    run "$VOXCONV" info --json "$samples/frames.nii.gz"
    jq -e '.dim[0] == 4 and .dim[4] == 5 and .pixdim[4] == 2.5' <<<"$output"
}

@test "slice_png draws a PNG of the samples" {
    "$VOXCONV_BUILD/slice_png" "$samples/mri.nii.gz" "$BATS_TEST_TMPDIR/out.png" "$samples/ct.nii.gz"
    [ "$(head -c 4 "$BATS_TEST_TMPDIR/out.png" | tail -c 3)" = PNG ]
}
