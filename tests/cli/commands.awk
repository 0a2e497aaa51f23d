# commands.awk - the command lines of a document, for examples.bats to run.
#
# README: what stands in blocks that begin with ```sh. A manual page: what stands between .EX and .EE, with
# roff's \- and \e turned back into - and \. Blocks that need files which are no part of the project have a word more
# (```sh brainchop, .EX brainchop); they are given instead where that is the value of `of`.

BEGIN { mark = of ? " " of : "" }
$0 == "```sh" mark { inside = 1; next }
/^```/ { inside = 0; next }
$0 == ".EX" mark { inside = 1; next }
/^\.EE$/ { inside = 0; next }
inside {
    if (FILENAME !~ /\.md$/) {
        gsub(/\\-/, "-")
        gsub(/\\e/, "\\")
    }
    print
}
