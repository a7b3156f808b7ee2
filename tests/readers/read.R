# read.R PACKAGE FILE PLACE...      as read.py; PACKAGE: hdf5r or rhdf5
arguments <- commandArgs(trailingOnly = TRUE)
package <- arguments[1]
path <- arguments[2]
if (!suppressPackageStartupMessages(require(package, character.only = TRUE, quietly = TRUE))) {
  quit(status = 77)
}

for (place in arguments[-(1:2)]) {
  parts <- strsplit(place, ":")[[1]]
  # R counts from 1, and has the axes in reverse.
  index <- as.list(rev(as.integer(strsplit(parts[2], ",")[[1]])) + 1L)
  if (package == "hdf5r") {
    file <- H5File$new(path, mode = "r")
    number <- file[[parts[1]]]$read(args = index)
    file$close_all()
  } else {
    number <- h5read(path, parts[1], index = index)
  }
  cat(sprintf("%.17g\n", as.numeric(number)))
}
