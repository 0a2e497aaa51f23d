# commands.awk - the command lines of a document, for examples.bats to run.
#
# README: what stands in blocks that begin with ```sh. A manual page: what stands between .EX and .EE, with
# roff's \- and \e turned back into - and \.

/^```sh$/ { inside = 1; next }
/^```/ { inside = 0; next }
/^\.EX$/ { inside = 1; next }
/^\.EE$/ { inside = 0; next }
inside {
    if (FILENAME !~ /\.md$/) {
        gsub(/\\-/, "-")
        gsub(/\\e/, "\\")
    }
    print
}
