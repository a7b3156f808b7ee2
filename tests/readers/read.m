% read.m FILE PLACE...      as read.py
arguments = argv();
data = load("-hdf5", arguments{1});
for i = 2:numel(arguments)
  parts = strsplit(arguments{i}, ":");
  numbers = data;
  for name = strsplit(parts{1}, "/")
    numbers = numbers.(strrep(name{1}, ".", "_"));  % Octave names fc_layers.0.weight so
  end
  % Octave counts from 1, and has the axes in reverse.
  index = num2cell(fliplr(str2double(strsplit(parts{2}, ","))) + 1);
  printf("%.17g\n", double(numbers(index{:})));
end
