# Prints every scalar of a JSON text as PATH<TAB>VALUE: keys and indexes of the path are joined by "/".
# A string of several lines gives a line for each. Broken input ends the output.
function skip_space() {
    sub(/^[ \t\r\n]+/, "", text)
}
function take(count,    token) {
    token = substr(text, 1, count)
    text = substr(text, count + 1)
    return token
}
function string_value(raw,    out, at, c) {
    raw = substr(raw, 2, length(raw) - 2)
    out = ""
    while ((at = index(raw, "\\")) > 0) {
        out = out substr(raw, 1, at - 1)
        c = substr(raw, at + 1, 1)
        raw = substr(raw, at + 2)
        if (c == "n") c = "\n"
        else if (c == "t") c = "\t"
        else if (c == "r" || c == "b" || c == "f") c = ""
        else if (c == "u") { raw = substr(raw, 5); c = "?" }
        out = out c
    }
    return out raw
}
function emit(path, value,    lines, count, i) {
    sub(/\n+$/, "", value)
    count = split(value, lines, "\n")
    if (count == 0) print path "\t"
    for (i = 1; i <= count; i++) print path "\t" lines[i]
}
function string_token() {
    if (!match(text, /^"([^"\\]|\\.)*"/)) exit 1
    return string_value(take(RLENGTH))
}
function value(path,    c, key, i) {
    skip_space()
    c = substr(text, 1, 1)
    if (c == "\"") { emit(path, string_token()); return }
    if (c == "{" || c == "[") {
        take(1)
        for (i = 0; ; i++) {
            skip_space()
            if (substr(text, 1, 1) ~ /[]}]/) { take(1); return }
            if (i > 0) { if (take(1) != ",") exit 1; skip_space() }
            key = i
            if (c == "{") {
                key = string_token()
                skip_space()
                if (take(1) != ":") exit 1
            }
            value(path == "" ? key : path "/" key)
        }
    }
    if (!match(text, /^[-+.a-zA-Z0-9]+/)) exit 1
    emit(path, take(RLENGTH))
}
{ text = text $0 "\n" }
END { value("") }
