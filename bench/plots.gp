# Plots from the *.dat files of bench/report.pl that are in the current directory.
set terminal svg noenhanced size 720,420 font 'sans,12' background 'white'
set grid y
set style fill solid 0.8 border -1
set boxwidth 0.7
set datafile missing '?'
there(name) = strlen(system("ls " . name . " 2>/dev/null")) > 0

set ylabel 'ms'
set yrange [0:*]
set offsets 0, 0, graph 0.08, 0
set xtics rotate by -35
unset key
if (there('bulk.dat')) {
    set output 'bulk.svg'
    set title 'CPU of one DELETE of rows that nothing refers to'
    plot 'bulk.dat' every ::1 using 0:2:xtic(1) with boxes linecolor rgb '#4878a8', \
         '' every ::1 using 0:2:(sprintf('%.0f', $2)) with labels offset 0,0.7
}

set xtics norotate
set key top left
set offsets 0, 0, 0, 0
set logscale xy
set yrange [*:*]
set format x '10^{%L}'
set xlabel 'rows'
if (there('growth.dat')) {
    set output 'growth.svg'
    set title 'CPU of one DELETE, three referring tables with an index'
    plot for [i=2:words(system("head -n 1 growth.dat"))] 'growth.dat' using 1:(column(i)) with linespoints title columnheader(i)
}
if (there('memory.dat')) {
    set output 'memory.svg'
    set title 'Memory of the backend during one DELETE'
    set ylabel 'kB'
    plot for [i=2:words(system("head -n 1 memory.dat"))] 'memory.dat' using 1:(column(i)) with linespoints title columnheader(i)
}
if (there('noindex_growth.dat')) {
    set output 'noindex.svg'
    set title 'CPU of 20,000 rows deleted, referring table without an index'
    set ylabel 'ms'
    set xlabel 'referring rows'
    plot for [i=2:words(system("head -n 1 noindex_growth.dat"))] 'noindex_growth.dat' using 1:(column(i)) with linespoints title columnheader(i)
}
if (there('crossover.dat')) {
    set output 'crossover.svg'
    set title 'CPU of one DELETE, 100,000 referring rows'
    set ylabel 'ms'
    set xlabel 'rows deleted'
    plot for [i=2:words(system("head -n 1 crossover.dat"))] 'crossover.dat' using 1:(column(i)) with linespoints title columnheader(i)
}
