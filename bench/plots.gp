# Plots from the *.dat files of bench/report.pl, in the current directory.
set terminal svg size 720,420 font 'sans,12' background 'white'
set grid y
set style fill solid 0.8 border -1
set boxwidth 0.7

set output 'bulk.svg'
set title 'CPU of one DELETE of rows that nothing refers to'
set ylabel 'ms'
set yrange [0:*]
set xtics rotate by -35
unset key
plot 'bulk.dat' every ::1 using 0:2:xtic(1) with boxes linecolor rgb '#4878a8', \
     '' every ::1 using 0:2:(sprintf('%.0f', $2)) with labels offset 0,0.7

set xtics norotate
set key top left
set logscale xy
set xlabel 'rows'
set yrange [*:*]
set format x '10^{%L}'
set datafile missing '?'

set output 'growth.svg'
set title 'CPU of one DELETE, three referring tables with an index'
set ylabel 'ms'
plot for [i=2:20] 'growth.dat' using 1:(column(i)) with linespoints title columnheader(i)

set output 'noindex.svg'
set title 'CPU of 20,000 rows deleted, referring table without an index'
set xlabel 'referring rows'
plot for [i=2:20] 'noindex_growth.dat' using 1:(column(i)) with linespoints title columnheader(i)

set output 'memory.svg'
set title 'Memory of the backend during one DELETE'
set xlabel 'rows'
set ylabel 'kB'
plot for [i=2:20] 'memory.dat' using 1:(column(i)) with linespoints title columnheader(i)
