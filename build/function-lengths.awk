# Lists the functions of C and C# files: length in lines, file, first line, and
# the text of that line.  For build/verify.sh.
#
# It relies on the layout the formatters enforce: a C function's braces stand in
# column 0; a C# member's braces stand alone on their lines at one or two levels
# of four spaces.  Bodies are counted from brace to brace, both included.  Type
# declarations are not functions; control blocks nested deeper are part of their
# member.

FNR == 1 { open_line = 0; statement = "" }

open_line == 0 && is_opening($0) {
    if (!is_type(statement) && statement ~ /[^ \t]/) {
        open_line = FNR
        open_indent = indent_of($0)
        opened_by = statement
    }
    statement = ""
    next
}

open_line > 0 {
    if (indent_of($0) == open_indent && $0 ~ /^[ \t]*\}[;)]*$/) {
        gsub(/^[ \t]+/, "", opened_by)
        printf "%d\t%s\t%d\t%s\n", FNR - open_line + 1, FILENAME, open_line, opened_by
        open_line = 0
    }
    next
}

# Remember the statement that a brace may follow; blank lines, comments and ends
# of statements separate.
/^[ \t]*$/ || /[;}]$/ || /^\{$/ || /\*\/$/ || /^[ \t]*\/\// { statement = ""; next }
statement == "" { statement = $0 }
/(class|struct|record|interface|enum|namespace)[ \t]/ { statement = statement " " $0 }

function is_opening(line)
{
    return FILENAME ~ /\.[ch]$/ ? line ~ /^\{$/ : line ~ /^(    |        )\{$/
}

function is_type(text)
{
    return text ~ /(^|[ \t])(class|struct|record|interface|enum|namespace|union)[ \t]/ &&
        text !~ /^[^=]*[a-z_0-9]\([^)]*$/ && (FILENAME !~ /\.[ch]$/ || text !~ /\(/)
}

function indent_of(line)
{
    match(line, /^[ \t]*/)
    return RLENGTH
}
